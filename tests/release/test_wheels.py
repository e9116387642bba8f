"""Wheel and sdist contain the package and nothing else, and are reproducible."""

import shutil
import zipfile
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from trove_classifiers import classifiers as known_classifiers

from release.artifacts import (
    SDIST,
    WHEEL,
    build,
    check_bundle,
    check_content,
    check_description,
    copy_source,
    same_bytes,
    unpack_sdist,
)
from release.project import PROJECT, ReleaseError, claimed_pythons, package_files, pinned_requirements
from release.registry import SERVER_NAME


def test_the_package_is_inside_and_nothing_else(wheel: Path) -> None:
    assert check_content(wheel)
    assert check_content(wheel.parent / SDIST)
    assert {"contit_mcp/py.typed", "contit_mcp/sandbox/data/workspace.json"} <= package_files()


def test_the_metadata_are_the_projects(wheel: Path) -> None:
    """Every classifier is known to the index, and the long description names the registry's entry (documented)."""
    assert check_description(wheel, SERVER_NAME).startswith("MIT")
    with pytest.raises(ReleaseError, match="mcp-name"):
        check_description(wheel, f"{SERVER_NAME}-of-someone-else")
    assert set(PROJECT["classifiers"]) <= set(known_classifiers)


def test_the_same_sources_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    build(copy_source(tmp_path / "another" / "folder"), tmp_path)
    for name in (WHEEL, SDIST):
        same_bytes(wheel.parent / name, tmp_path / name)
    build(unpack_sdist(tmp_path / SDIST, tmp_path / "unpacked"), tmp_path / "again")
    same_bytes(wheel, tmp_path / "again" / WHEEL)


def test_a_stray_file_is_noticed(wheel: Path, tmp_path: Path) -> None:
    doctored = Path(shutil.copy(wheel, tmp_path))
    with zipfile.ZipFile(doctored, "a") as archive:
        archive.writestr("contit_mcp/.env", "CONTIT_API_KEY=secret")
    with pytest.raises(ReleaseError, match=r"does not belong there: contit_mcp/\.env"):
        check_content(doctored)


@pytest.mark.parametrize("lost", ["contit_mcp/py.typed", "contit_mcp/sandbox/data/workspace.json"])
def test_a_lost_file_is_noticed(wheel: Path, tmp_path: Path, lost: str) -> None:
    doctored = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(doctored, "w") as archive:
        for name in whole.namelist():
            if name != lost:
                archive.writestr(name, whole.read(name))
    with pytest.raises(ReleaseError, match=f"lacks {lost}"):
        check_content(doctored)


def test_a_bundle_of_earlier_sources_is_noticed(wheel: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "contit-mcp.mcpb"
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(bundle, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    assert check_bundle(bundle, wheel)
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("contit_mcp/earlier.py", "")
    with pytest.raises(ReleaseError, match="other sources: make bundle"):
        check_bundle(bundle, wheel)


def test_what_is_claimed_can_be_installed() -> None:
    assert claimed_pythons()
    for version in claimed_pythons():
        assert SpecifierSet(PROJECT["requires-python"]).contains(version)
    assert len({requirement.name for requirement in pinned_requirements()}) >= len(PROJECT["dependencies"])

"""Wheel and sdist contain the package and nothing else, and are reproducible."""

import shutil
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from trove_classifiers import classifiers as known_classifiers

from release.check import check_bundle, check_content, check_reproducible
from release.project import PROJECT, UNDERSCORED, ReleaseError, claimed_pythons, package_files
from release.registry import SERVER_NAME


def with_one_more_file(archive: Path, folder: Path) -> Path:
    copied = Path(shutil.copy(archive, folder))
    with zipfile.ZipFile(copied, "a") as files:
        files.writestr("contit_mcp/.env", "CONTIT_API_KEY=secret")
    return copied


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path, tmp_path: Path) -> None:
    assert check_content(wheel)
    assert {"contit_mcp/py.typed", "contit_mcp/sandbox/data/workspace.json"} <= package_files()
    with pytest.raises(ReleaseError, match=r"too many or too few: contit_mcp/\.env\."):
        check_content(with_one_more_file(wheel, tmp_path))


def test_the_wheel_is_described_truly(wheel: Path) -> None:
    """Every classifier is known, and the description names the registry's entry."""
    assert set(PROJECT["classifiers"]) <= set(known_classifiers)
    with zipfile.ZipFile(wheel) as archive:
        metadata = BytesParser().parsebytes(archive.read(f"{UNDERSCORED}.dist-info/METADATA"))
    assert f"mcp-name: {SERVER_NAME} " in str(metadata.get_payload())
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(version) for version in claimed_pythons())


def test_a_wheel_or_an_sdist_has_the_same_bytes_whenever_it_is_built(wheel: Path, tmp_path: Path) -> None:
    assert check_reproducible(wheel.parent, tmp_path)


def test_a_bundle_of_other_sources_is_noticed(wheel: Path, tmp_path: Path) -> None:
    assert check_bundle(wheel, wheel)
    with pytest.raises(ReleaseError, match="other sources: make bundle"):
        check_bundle(with_one_more_file(wheel, tmp_path), wheel)

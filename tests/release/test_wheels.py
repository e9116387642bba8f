"""Wheel and sdist contain the package and nothing else, and are reproducible."""

import shutil
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from trove_classifiers import classifiers as known_classifiers

from release.check import check_bundle, check_content, check_reproducible
from release.project import PROJECT, UNDERSCORED, ReleaseError, claimed_pythons, package_files, pinned_requirements
from release.registry import SERVER_NAME


def without(archive: Path, lost: str, target: Path) -> Path:
    """Copy an archive without one of its files."""
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(target, "w") as rest:
        for name in whole.namelist():
            if name != lost:
                rest.writestr(name, whole.read(name))
    return target


def test_the_wheel_has_the_package_and_nothing_else_and_is_described_truly(wheel: Path, tmp_path: Path) -> None:
    """Every classifier is known, the description names the registry's entry, and the pins fit what is required."""
    assert set(PROJECT["classifiers"]) <= set(known_classifiers)
    with zipfile.ZipFile(wheel) as archive:
        metadata = BytesParser().parsebytes(archive.read(f"{UNDERSCORED}.dist-info/METADATA"))
    assert f"mcp-name: {SERVER_NAME} " in str(metadata.get_payload())
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(version) for version in claimed_pythons())
    pins = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in map(Requirement, pinned_requirements())}
    for asked in map(Requirement, PROJECT["dependencies"]):
        assert asked.specifier.contains(pins[canonicalize_name(asked.name)]), asked.name
    assert check_content(wheel)
    assert {"contit_mcp/py.typed", "contit_mcp/sandbox/data/workspace.json"} <= package_files()
    with pytest.raises(ReleaseError, match=r"too many or too few: contit_mcp/py\.typed\."):
        check_content(without(wheel, "contit_mcp/py.typed", tmp_path / wheel.name))
    doctored = Path(shutil.copy(wheel, tmp_path))
    with zipfile.ZipFile(doctored, "a") as archive:
        archive.writestr("contit_mcp/.env", "CONTIT_API_KEY=secret")
    with pytest.raises(ReleaseError, match=r"too many or too few: contit_mcp/\.env\."):
        check_content(doctored)


def test_the_same_sources_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert check_reproducible(wheel.parent, tmp_path)
    wheel.with_name("other").mkdir()
    for file in wheel.parent.glob("contit_mcp-*"):
        shutil.copy(file, wheel.with_name("other"))
    without(wheel, "contit_mcp/py.typed", wheel.with_name("other") / wheel.name)
    with pytest.raises(ReleaseError, match="other bytes when it is built again"):
        check_reproducible(wheel.with_name("other"), tmp_path / "again")


def test_a_bundle_of_earlier_sources_is_noticed(wheel: Path, tmp_path: Path) -> None:
    assert check_bundle(wheel, wheel)
    with pytest.raises(ReleaseError, match="other sources: make bundle"):
        check_bundle(without(wheel, "contit_mcp/api.py", tmp_path / "contit-mcp.mcpb"), wheel)

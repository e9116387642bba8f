"""Build wheel and sdist reproducibly, and check their content."""

import os
import shutil
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from trove_classifiers import classifiers as known_classifiers

from release.project import NAME, PROJECT, ROOT, VERSION, ReleaseError, package_files, run, source_date_epoch

_UNDERSCORED = f"{NAME.replace('-', '_')}-{VERSION}"
WHEEL = f"{_UNDERSCORED}-py3-none-any.whl"
SDIST = f"{_UNDERSCORED}.tar.gz"
BESIDE = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore")
"""What a build needs beside the package."""


def build(source: Path, target: Path, *, kinds: tuple[str, ...] = ("sdist", "wheel")) -> None:
    """Build what is asked for from a source tree, without isolation: with the pinned hatchling."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": source_date_epoch()}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    run(*command, *(word for kind in kinds for word in ("--target", kind)), cwd=source, env=environment)


def copy_source(target: Path) -> Path:
    """The project's sources as somebody else would have them: in another folder, with other times and modes."""
    for name in sorted(package_files()) + list(BESIDE):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    for path in target.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)
    return target


def unpack_sdist(sdist: Path, target: Path) -> Path:
    """The folder that an sdist holds."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    return target / SDIST.removesuffix(".tar.gz")


def same_bytes(first: Path, second: Path) -> None:
    """Hold that two builds are one.

    Raises:
        ReleaseError: They differ.
    """
    if first.read_bytes() != second.read_bytes():
        raise ReleaseError(f"{first.name} of one build is not that of another, of the same sources.")


def check_wheel(wheel: Path) -> str:
    """Hold that the package is inside, and nothing but the package; return a word on it.

    Raises:
        ReleaseError: Something is missing, or does not belong there.
    """
    info = f"{_UNDERSCORED}.dist-info"
    around = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        _expect(wheel, names, package_files() | around)
        entry = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE")
        tag = archive.read(f"{info}/WHEEL").decode()
    if f"{NAME} = {PROJECT['scripts'][NAME]}" not in entry.splitlines():
        raise ReleaseError(f"{wheel.name} has no command {NAME}.")
    if licence != (ROOT / "LICENSE").read_bytes():
        raise ReleaseError(f"{wheel.name} holds another licence.")
    if "Root-Is-Purelib: true" not in tag:
        raise ReleaseError(f"{wheel.name} is not for every platform.")
    return f"{len(names)} files, {wheel.stat().st_size // 1000} kB; LICENSE, py.typed, {_data(names)} data files"


def check_sdist(sdist: Path) -> str:
    """The same for the sdist.

    Raises:
        ReleaseError: Something is missing, or does not belong there.
    """
    top = SDIST.removesuffix(".tar.gz")
    with tarfile.open(sdist) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
    around = {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
    names = {member.name.removeprefix(f"{top}/") for member in members}
    _expect(sdist, names, package_files() | around)
    if any(not member.isfile() or member.uid or member.gid or member.uname or member.gname for member in members):
        raise ReleaseError(f"{sdist.name} holds links, or the names of who built it.")
    return f"{len(names)} files, {sdist.stat().st_size // 1000} kB"


def check_bundle(bundle: Path, wheel: Path) -> str:
    """Hold that a bundle holds the package of this wheel, not of an earlier one.

    Raises:
        ReleaseError: It does not.
    """
    packages = []
    for path in (bundle, wheel):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.startswith("contit_mcp/")]
            packages.append({name: archive.read(name) for name in names})
    if packages[0] != packages[1]:
        raise ReleaseError(f"{bundle.name} is of other sources: make bundle")
    return "holds the wheel's package"


def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        return BytesParser().parsebytes(archive.read(f"{_UNDERSCORED}.dist-info/METADATA"))


def check_metadata(wheel: Path, *, server_name: str) -> str:
    """Hold that the metadata are the project's, and what indexes and registries look for.

    Raises:
        ReleaseError: They are not.
    """
    said = metadata(wheel)
    wanted = {
        "Name": NAME,
        "Version": VERSION,
        "License-Expression": PROJECT["license"],
        "License-File": "LICENSE",
        "Requires-Python": PROJECT["requires-python"],
        "Summary": PROJECT["description"],
        "Description-Content-Type": "text/markdown",
    }
    wrong = [f"{key}: {said[key]}" for key, value in wanted.items() if said[key] != value]
    wrong += [f"Classifier: {line}" for line in said.get_all("Classifier", []) if line not in known_classifiers]
    asked = {str(Requirement(line)) for line in PROJECT["dependencies"]}
    plain = {str(Requirement(line)) for line in said.get_all("Requires-Dist", []) if "extra ==" not in line}
    wrong += [f"Requires-Dist: {line}" for line in sorted(asked ^ plain)]
    if set(said.get_all("Provides-Extra", [])) != set(PROJECT["optional-dependencies"]):
        wrong.append("Provides-Extra")
    if f"mcp-name: {server_name} " not in str(said.get_payload()):
        wrong.append(f"Description: no mcp-name: {server_name}")
    if wrong:
        raise ReleaseError("The metadata are not the project's: " + "; ".join(wrong))
    return f"{said['License-Expression']}, Python {said['Requires-Python']}, {len(asked)} dependencies, mcp-name"


def _data(names: set[str]) -> int:
    return sum(name.startswith("contit_mcp/sandbox/data/") for name in names)


def _expect(archive: Path, names: set[str], wanted: set[str]) -> None:
    if "contit_mcp/py.typed" not in wanted or not _data(wanted):
        raise ReleaseError("The package has lost py.typed or the sandbox's data.")
    if strange := sorted(names - wanted):
        raise ReleaseError(f"{archive.name} holds what does not belong there: {', '.join(strange[:5])}.")
    if missing := sorted(wanted - names):
        raise ReleaseError(f"{archive.name} lacks {', '.join(missing[:5])}.")

"""Wheel and sdist: built so that everybody who builds them gets the same bytes, and what must be inside."""

import os
import shutil
import sys
import tarfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

from release.project import NAME, PROJECT, ROOT, VERSION, ReleaseError, package_files, run, source_date_epoch

_UNDERSCORED = f"{NAME.replace('-', '_')}-{VERSION}"
WHEEL = f"{_UNDERSCORED}-py3-none-any.whl"
SDIST = f"{_UNDERSCORED}.tar.gz"
_BESIDE = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"}
"""What a build needs beside the package."""


def build(source: Path, target: Path) -> None:
    """Build sdist and wheel from a source tree, without isolation: with the pinned hatchling."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": source_date_epoch()}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    run(*command, "--target", "sdist", "--target", "wheel", cwd=source, env=environment)


def copy_source(target: Path) -> Path:
    """Copy the project's sources as somebody else would have them: in another folder, with other times and modes."""
    for name in sorted(package_files() | _BESIDE):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    for path in target.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)
    return target


def unpack_sdist(sdist: Path, target: Path) -> Path:
    """Return the folder that an sdist holds."""
    # Not with tarfile: its safe filter came with Python 3.11.4, and Debian 12 has 3.11.2.
    target.mkdir(parents=True, exist_ok=True)
    run("tar", "-xzf", str(sdist), "-C", str(target))
    return target / SDIST.removesuffix(".tar.gz")


def same_bytes(first: Path, second: Path) -> None:
    """Raise ReleaseError if two builds differ."""
    if first.read_bytes() != second.read_bytes():
        raise ReleaseError(f"{first.name} of one build is not that of another, of the same sources.")


def check_content(archive: Path) -> str:
    """Raise ReleaseError unless the package is inside a wheel or sdist, and nothing else; return a word on it."""
    if archive.suffix == ".whl":
        around = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
        wanted = package_files() | {f"{_UNDERSCORED}.dist-info/{name}" for name in around}
        with zipfile.ZipFile(archive) as wheel:
            names = set(wheel.namelist())
    else:
        wanted = package_files() | _BESIDE | {"PKG-INFO"}
        with tarfile.open(archive) as sdist:
            members = [member for member in sdist.getmembers() if not member.isdir()]
        names = {member.name.removeprefix(f"{_UNDERSCORED}/") for member in members}
        if any(not member.isfile() or member.uid or member.gid or member.uname or member.gname for member in members):
            raise ReleaseError(f"{archive.name} holds links, or the names of who built it.")
    if strange := sorted(names - wanted):
        raise ReleaseError(f"{archive.name} holds what does not belong there: {', '.join(strange[:5])}.")
    if missing := sorted(wanted - names):
        raise ReleaseError(f"{archive.name} lacks {', '.join(missing[:5])}.")
    return f"{len(names)} files, {archive.stat().st_size // 1000} kB"


def check_description(wheel: Path, server_name: str) -> str:
    """Raise ReleaseError unless the long description names the entry of the MCP registry."""
    with zipfile.ZipFile(wheel) as archive:
        said = BytesParser().parsebytes(archive.read(f"{_UNDERSCORED}.dist-info/METADATA"))
    if f"mcp-name: {server_name} " not in str(said.get_payload()):
        raise ReleaseError(f"The long description has no mcp-name: {server_name}")
    return f"{said['License-Expression']}, Python {said['Requires-Python']}, {PROJECT['name']} {said['Version']}"


def check_bundle(bundle: Path, wheel: Path) -> str:
    """Raise ReleaseError unless a bundle holds the package of this wheel, not of an earlier one."""
    packages = []
    for path in (bundle, wheel):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.startswith("contit_mcp/")]
            packages.append({name: archive.read(name) for name in names})
    if packages[0] != packages[1]:
        raise ReleaseError(f"{bundle.name} is of other sources: make bundle")
    return "holds the wheel's package"

"""The facts of the project, and the build of its wheel and sdist."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from contit_mcp import __version__

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
VERSION = __version__
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME: str = PROJECT["name"]
UNDERSCORED = f"{NAME.replace('-', '_')}-{VERSION}"
WHEEL = f"{UNDERSCORED}-py3-none-any.whl"
SDIST = f"{UNDERSCORED}.tar.gz"
BUNDLE = DIST / f"{NAME}-{VERSION}.mcpb"


class ReleaseError(Exception):
    """A part of a release is not as it must be; the message says what."""


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return its stdout.

    Raises:
        ReleaseError: It failed; the message ends with its last lines.
    """
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        last = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ReleaseError(f"{' '.join(map(str, command))}\n  ended with {done.returncode}:\n  {last}")
    return done.stdout


def build(target: Path, source: Path = ROOT) -> Path:
    """Build sdist and wheel into a folder with the pinned hatchling, and return the path of the wheel."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": source_date_epoch()}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    run(*command, "--target", "sdist", "--target", "wheel", cwd=source, env=environment)
    return target / WHEEL


def source_date_epoch() -> str:
    """Return the time that is written into archives: the environment's, otherwise the last commit's."""
    return os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct").strip()


def package_files() -> set[str]:
    """Return the paths of the package's files that git does not ignore."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "contit_mcp").split("\0")
    return {name for name in listed if name and (ROOT / name).is_file()}


def claimed_pythons() -> list[str]:
    """Return the versions of Python that the classifiers name, oldest first."""
    found = re.findall(r"Programming Language :: Python :: 3\.(\d+)", "\n".join(PROJECT["classifiers"]))
    return [f"3.{minor}" for minor in sorted(map(int, found))]


def pinned_requirements() -> list[str]:
    """Return the pinned dependencies of the package as requirement lines without hashes."""
    text = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    return re.findall(r"^([a-z0-9][^\\\n]*?)\s*\\?$", text, flags=re.MULTILINE)


def write_checksums() -> None:
    """Write SHA256SUMS over everything in dist, as `sha256sum --check` reads it."""
    sums = DIST / "SHA256SUMS"
    files = sorted(path for path in DIST.iterdir() if path != sums)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    sums.write_text("".join(lines), encoding="utf-8")

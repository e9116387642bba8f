"""What the project says of itself, read where it stands, so that nothing of it is written twice."""

import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from contit_mcp import __version__

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
VERSION = __version__
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME: str = PROJECT["name"]
STEM = f"{NAME}-{VERSION}"
BUNDLE = DIST / f"{STEM}.mcpb"

_ARTIFACTS = ("*.whl", "*.tar.gz", "*.mcpb", "*.cdx.json", "server.json")


class ReleaseError(Exception):
    """Something that is made for a release is not as it must be; the message says what."""


def claimed_pythons() -> list[str]:
    """The versions of Python that the classifiers name, oldest first."""
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in PROJECT["classifiers"]]
    return sorted((match[1] for match in found if match), key=lambda version: int(version.split(".")[1]))


def pinned_requirements() -> list[Requirement]:
    """What the package is tested with: one version each, for every platform."""
    text = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    lines = re.findall(r"^([a-z0-9][^\\\n]*?)\s*\\?$", text, flags=re.MULTILINE)
    return [Requirement(line) for line in lines]


def package_files() -> set[str]:
    """What belongs to the package: all that git does not ignore; without git, all but what Python leaves behind."""
    if listed := _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "contit_mcp"):
        return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    found = (path for path in (ROOT / "contit_mcp").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(ROOT).as_posix() for path in found}


def uncommitted() -> list[str]:
    """What a release would hold although no commit does; nothing where there is no git."""
    listed = _git("status", "--porcelain", "--", "contit_mcp", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
    return [line[3:] for line in (listed or "").splitlines()]


def source_date_epoch() -> str:
    """The time that is written into artifacts: the environment's, else the last commit's, else hatchling's default."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    return (_git("log", "-1", "--format=%ct") or "1580601600").strip()


def _git(*words: str) -> str | None:
    git = shutil.which("git")
    return run(git, "-C", ROOT, *words) if git and (ROOT / ".git").exists() else None


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return its stdout.

    Raises:
        ReleaseError: It is not there, or failed; the message ends with its last words.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as exc:
        raise ReleaseError(f"{words[0]} cannot be run: {exc.strerror}.") from exc
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise ReleaseError(f"{' '.join(words)}\n  ended with {done.returncode}:\n  " + "\n  ".join(last))
    return done.stdout


def write_checksums() -> Path:
    """SHA256SUMS over all that is in dist, as `sha256sum --check` reads it."""
    files = sorted(path for pattern in _ARTIFACTS for path in DIST.glob(pattern))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    sums = DIST / "SHA256SUMS"
    sums.write_text("".join(lines), encoding="utf-8")
    return sums

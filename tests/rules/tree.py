"""The project's files, and the messages of the rules about them."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "contit_mcp"
FOLDERS = ("benchmarks", "configs", "contit_mcp", "docs", "release", "requirements", "tests")


@cache
def modules() -> tuple[Path, ...]:
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def kept_files() -> tuple[Path, ...]:
    """Return the text files that git tracks or would add; without git, those in the folders of the project."""
    git = shutil.which("git")
    listed = None
    if git and (ROOT / ".git").exists():
        command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    paths = (
        [ROOT / name for name in listed if name]
        if listed
        else [*ROOT.glob("*.*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    )
    texts = (path for path in paths if path.is_file() and path.suffix not in {".pyc", ".png", ".ico"})
    return tuple(sorted(path for path in texts if "node_modules" not in path.parts))


def told(offences: list[str], how: str) -> str:
    """Return the message of a broken rule: how to comply, and where it is broken."""
    return f"{how}\n  " + "\n  ".join(offences)


def place(path: Path, line: int | None = None) -> str:
    name = path.relative_to(ROOT).as_posix()
    return name if line is None else f"{name}:{line}"

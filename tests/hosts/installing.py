"""Install clients once, in pinned versions below `.hosts/`. If one cannot be installed, its tests fail and say why."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rules.tree import ROOT

CACHE = Path(os.environ.get("CONTIT_TESTS_HOSTS_FOLDER") or ROOT / ".hosts")
PINS = Path(__file__).parent
VERSIONS: dict[str, str] = json.loads((PINS / "package.json").read_text(encoding="utf-8"))["dependencies"]


def node() -> Path:
    """Install a Node that is new enough for all clients, from npm; return its folder."""
    return npm_packages("node", "node")


def npm_packages(folder: str, *names: str) -> Path:
    """Install packages in the versions of package.json; return the folder of their commands."""
    wanted = json.dumps({"private": True, "dependencies": {name: VERSIONS[name] for name in names}}, indent=1)
    path = "" if folder == "node" else f"{node()}{os.pathsep}"
    return _npm(folder, {"package.json": wanted}, "install", "--no-package-lock", path=path) / ".bin"


def npm_locked(folder: str, pins: Path) -> Path:
    """Install what the package.json and package-lock.json in `pins` name; return the folder of the packages."""
    files = {name: (pins / name).read_text(encoding="utf-8") for name in ("package.json", "package-lock.json")}
    return _npm(folder, files, "ci", "--ignore-scripts")


def _npm(folder: str, files: Mapping[str, str], *command: str, path: str = "") -> Path:
    target = CACHE / "npm" / folder
    with _making(target, "".join(files.values())) as missing:
        if missing:
            npm = shutil.which("npm")
            if npm is None:
                pytest.fail("npm was not found: it installs Node and the clients written for it.", pytrace=False)
            for name, text in files.items():
                (target / name).write_text(text, encoding="utf-8")
            quiet = ("--no-audit", "--no-fund", "--loglevel", "error")
            _run([npm, *command, *quiet], target, what=f"the packages of {folder}", path=path + os.environ["PATH"])
    return target / "node_modules"


def python_packages(name: str) -> Path:
    """Install what `environments/NAME.txt` pins into an environment of its own; return the folder of its commands."""
    wanted = (PINS / "environments" / f"{name}.txt").read_text(encoding="utf-8") + sys.version
    target = CACHE / "python" / name
    commands = target / ("Scripts" if sys.platform == "win32" else "bin")
    with _making(target, wanted) as missing:
        if missing:
            _run([sys.executable, "-m", "venv", str(target)], CACHE, what=f"an environment for {name}")
            pip = [str(commands / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq", "install"]
            _run([*pip, "--no-deps", "-r", str(PINS / "environments" / f"{name}.txt")], CACHE, what=name)
    return commands


@contextmanager
def _making(target: Path, wanted: str) -> Iterator[bool]:
    """Yield whether the folder has to be filled, and is empty now; one process fills it while others wait."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = target / "installed"
        missing = not mark.exists() or mark.read_text(encoding="utf-8") != wanted
        if missing:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
        yield missing
        if missing:
            mark.write_text(wanted, encoding="utf-8")


def _run(command: Sequence[str], folder: Path, *, what: str, path: str = os.environ["PATH"]) -> None:
    sys.stderr.write(f"installing {what}\n")
    variables = os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=folder, env=variables, check=False, capture_output=True, text=True, timeout=900)
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".strip()[-2_000:]
        pytest.fail(f"{what} could not be installed; that needs npm or pip and a package index.\n{said}", pytrace=False)

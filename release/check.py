"""make release-check: build wheel and sdist, install and try them in every way that users are told of."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

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
from release.project import (
    BUNDLE,
    DIST,
    NAME,
    ROOT,
    STEM,
    VERSION,
    ReleaseError,
    claimed_pythons,
    run,
    source_date_epoch,
    uncommitted,
    write_checksums,
)
from release.registry import SERVER_NAME
from release.trying import try_command

TOOLS = Path(sys.executable).parent
"""Where the pinned uv, pipx and cyclonedx-py are."""

UV = (TOOLS / "uv", "pip", "install", "--quiet")
BASE = str(getattr(sys, "_base_executable", sys.executable))
"""The Python that this environment was made with."""

_HIDDEN = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def built(scratch: Path) -> str:
    """Build into dist, and again elsewhere and from the sdist: three builds, the same bytes."""
    DIST.mkdir(exist_ok=True)
    for pattern in ("*.whl", "*.tar.gz", "*.cdx.json", "SHA256SUMS"):
        for old in DIST.glob(pattern):
            old.unlink()
    build(copy_source(scratch / "one"), DIST)
    build(copy_source(scratch / "elsewhere" / "two"), scratch / "again")
    build(unpack_sdist(DIST / SDIST, scratch / "unpacked"), scratch / "from-sdist")
    for name in (WHEEL, SDIST):
        same_bytes(DIST / name, scratch / "again" / name)
    same_bytes(DIST / WHEEL, scratch / "from-sdist" / WHEEL)
    return f"two builds and the sdist's wheel are byte for byte the same (SOURCE_DATE_EPOCH={source_date_epoch()})"


def committed() -> str:
    """A release is what a commit holds."""
    if left := uncommitted():
        raise ReleaseError(f"These are in no commit: {', '.join(left[:5])}.")
    return "all that is built is in a commit"


def twine() -> str:
    """What an index would refuse or render badly."""
    run(sys.executable, "-m", "twine", "check", "--strict", DIST / WHEEL, DIST / SDIST)
    return "twine check --strict: the README renders as the long description"


def installed(way: str, artifact: str, folder: Path, *options: str, python: str = BASE) -> str:
    """Install an artifact in one way into an empty environment, and try the command there."""
    file, venv = DIST / artifact, folder / "venv"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN and not name.startswith("CONTIT_")}
    environment = kept | {
        "VIRTUAL_ENV": str(venv),
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(venv / "bin"),
        "PIPX_HOME": str(folder / "pipx"),
        "PIPX_BIN_DIR": str(venv / "bin"),
        "PIPX_MAN_DIR": str(folder / "man"),
    }
    do = partial(run, env=environment)
    said = ""
    if way == "pipx":
        do(TOOLS / "pipx", "install", "--python", python, file)
    elif way == "uv tool":
        do(TOOLS / "uv", "tool", "install", "--quiet", "--python", python, file)
    elif way == "pip":
        do(python, "-m", "venv", venv)
        do(venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input", file)
    else:
        do(TOOLS / "uv", "venv", "--quiet", "--python", python, venv)
        if way == "tested":
            do(*UV, "--require-hashes", "--requirements", ROOT / "requirements" / "runtime.txt")
            options = ("--no-deps",)
        do(*UV, *options, file)
        said = f"; {bill(venv / 'bin' / 'python')}" if way == "tested" else ""
    return try_command(venv / "bin" / NAME, folder / "home") + said


def bill(python: Path) -> str:
    """Write the CycloneDX bill of materials of an environment into dist."""
    file = DIST / f"{STEM}.cdx.json"
    options = ["--output-reproducible", "--validate", "--pyproject", str(ROOT / "pyproject.toml")]
    run(TOOLS / "cyclonedx-py", "environment", *options, "--mc-type", "application", "--output-file", file, python)
    listed = json.loads(file.read_text(encoding="utf-8"))
    listed["metadata"]["component"]["version"] = VERSION  # it is dynamic, so pyproject.toml does not have it
    file.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    return f"bill of {len(listed['components'])} components"


def rows(scratch: Path) -> dict[str, Callable[[], str]]:
    """Return what is proved after the build, each with its proof."""
    found: dict[str, Callable[[], str]] = {
        "sources": committed,
        "wheel, content": lambda: check_content(DIST / WHEEL),
        "sdist, content": lambda: check_content(DIST / SDIST),
        "description": lambda: check_description(DIST / WHEEL, SERVER_NAME),
        "index": twine,
        "pip, wheel": partial(installed, "pip", WHEEL, scratch / "1"),
        "pip, sdist": partial(installed, "pip", SDIST, scratch / "2"),
        "pipx, wheel": partial(installed, "pipx", WHEEL, scratch / "3"),
        "uv tool, wheel": partial(installed, "uv tool", WHEEL, scratch / "4"),
        "uv, sdist": partial(installed, "uv", SDIST, scratch / "5"),
        "uv, the tested versions": partial(installed, "tested", WHEEL, scratch / "6"),
        "uv, the oldest versions": partial(installed, "uv", WHEEL, scratch / "7", "--resolution", "lowest-direct"),
    }
    if BUNDLE.exists():
        found["bundle"] = lambda: check_bundle(BUNDLE, DIST / WHEEL)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in claimed_pythons():
        pythons = [*map(str, pyenv.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
        if pythons[0] is None:
            click.echo(f"  --   Python {version} is not on this machine: not tried")
            continue
        found[f"uv, wheel, Python {version}"] = partial(installed, "uv", WHEEL, scratch / version, python=pythons[0])
    return found


def holds(what: str, prove: Callable[[], str]) -> bool:
    """Print one line, and return whether the proof succeeds."""
    began = time.monotonic()
    try:
        mark, detail = "ok", prove()
    except (ReleaseError, OSError, ExceptionGroup, TimeoutError) as error:
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        mark, detail = "FAIL", str(cause) or type(cause).__name__
    click.echo(f"  {mark:<4} {what:<25} {detail}  ({time.monotonic() - began:.1f} s)")
    return mark == "ok"


@click.command()
def main() -> None:
    """Build wheel and sdist into dist/, and say what holds of them; the exit code says whether all does."""
    if os.name != "posix":
        raise click.ClickException("This runs on Linux and macOS.")
    scratch = Path(tempfile.mkdtemp(prefix="contit-mcp-release-"))
    try:
        if not holds("builds", lambda: built(scratch)):
            raise click.ClickException("There is nothing to install.")
        failed = [what for what, prove in rows(scratch).items() if not holds(what, prove)]
        write_checksums()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if failed:
        raise click.ClickException(f"These do not hold: {', '.join(failed)}.")
    click.echo("In dist/: " + ", ".join(sorted(path.name for path in DIST.iterdir())))


if __name__ == "__main__":
    main()

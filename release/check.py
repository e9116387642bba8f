"""make release-check: build wheel and sdist, check their content, and try them in the ways that users are told of."""

import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from release.project import (
    BUNDLE,
    DIST,
    NAME,
    ROOT,
    SDIST,
    UNDERSCORED,
    VERSION,
    WHEEL,
    ReleaseError,
    build,
    claimed_pythons,
    package_files,
    run,
    write_checksums,
)
from release.trial import bare_environment, try_command

TOOLS = Path(sys.executable).parent
"""The folder of the pinned uv, pipx, twine and cyclonedx-py."""

DIST_INFO = {f"{UNDERSCORED}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
LICENCE = f"{UNDERSCORED}.dist-info/licenses/LICENSE"


def check_content(wheel: Path) -> str:
    """Raise ReleaseError unless a wheel has the files of the package, its metadata, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    if different := names ^ (package_files() | DIST_INFO | {LICENCE}):
        raise ReleaseError(f"{wheel.name} has a file too many or too few: {', '.join(sorted(different)[:5])}.")
    return f"{len(names)} files, {wheel.stat().st_size // 1000} kB"


def check_reproducible(folder: Path, scratch: Path) -> str:
    """Raise ReleaseError unless another build, and a build of the sdist, have the bytes of those in a folder."""
    build(scratch / "again")
    scratch.mkdir(exist_ok=True)
    run("tar", "-xzf", folder / SDIST, "-C", scratch)  # the safe filter of `tarfile` is younger than Python 3.11.2
    build(scratch / "of-the-sdist", scratch / UNDERSCORED)
    for name, other in ((WHEEL, "again"), (SDIST, "again"), (WHEEL, "of-the-sdist")):
        if (folder / name).read_bytes() != (scratch / other / name).read_bytes():
            raise ReleaseError(f"{name} has other bytes when it is built again ({other}).")
    return "a second build and a build of the sdist have the same bytes"


def check_bundle(bundle: Path, wheel: Path) -> str:
    """Raise ReleaseError unless a bundle has the package of this wheel, not of an earlier one."""
    packages = []
    for path in (bundle, wheel):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.startswith("contit_mcp/")]
            packages.append({name: archive.read(name) for name in names})
    if packages[0] != packages[1]:
        raise ReleaseError(f"{bundle.name} is of other sources: make bundle")
    return "has the wheel's package"


def committed() -> str:
    """Raise ReleaseError if a file of the checkout differs from its commit."""
    if changed := run("git", "status", "--porcelain"):
        raise ReleaseError(f"Commit first:\n{changed}")
    return "everything is in a commit"


def bill_of_materials() -> str:
    """Write the CycloneDX bill of materials of the tested versions into dist."""
    file = DIST / f"{NAME}-{VERSION}.cdx.json"
    what = ("requirements", ROOT / "requirements" / "runtime.txt", "--pyproject", ROOT / "pyproject.toml")
    run(TOOLS / "cyclonedx-py", *what, "--output-reproducible", "--validate", "--output-file", file)
    return file.name


def installations(scratch: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield each way to install and start the command, with a function that tries it."""
    wheel, sdist = str(DIST / WHEEL), str(DIST / SDIST)
    uvx = [str(TOOLS / "uv"), "tool", "run", "--quiet", "--isolated"]
    oldest = ["--resolution", "lowest-direct"]
    tested = ["--with-requirements", str(ROOT / "requirements" / "runtime.txt")]
    pipx = [str(TOOLS / "pipx"), "run", "--no-cache", "--spec"]
    pip = scratch / "pip"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin")
    path = os.pathsep.join([*map(str, pyenv), os.environ["PATH"]])

    def tried(*command: str) -> Callable[[], str]:
        return lambda: try_command([*command, NAME], bare_environment(scratch, path=path))

    def with_pip() -> str:
        run(sys.executable, "-m", "venv", pip)
        run(pip / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input", sdist)
        return try_command([str(pip / "bin" / NAME)], bare_environment(scratch))

    yield "pip, sdist", with_pip
    yield "pipx, wheel", tried(*pipx, wheel)
    yield "uv, sdist", tried(*uvx, "--from", sdist)
    yield "uv, the tested versions", tried(*uvx, *tested, "--from", wheel)
    yield "uv, the oldest versions", tried(*uvx, *oldest, "--from", wheel)
    for version in claimed_pythons():
        yield f"uv, Python {version}", tried(*uvx, "--python", version, "--from", wheel)


def holds(what: str, check: Callable[[], str]) -> bool:
    """Print one line about a check, and return whether it succeeds."""
    began = time.monotonic()
    try:
        mark, detail = "ok", check()
    except (ReleaseError, OSError, ExceptionGroup, TimeoutError) as error:
        mark, detail = "FAIL", str(error) or type(error).__name__
    click.echo(f"  {mark:<4} {what:<25} {detail}  ({time.monotonic() - began:.1f} s)")
    return mark == "ok"


@click.command()
def main() -> None:
    """Build wheel and sdist into dist/, and print the result of each check; the exit code is 1 if one fails."""
    DIST.mkdir(exist_ok=True)
    for old in DIST.iterdir():
        if old != BUNDLE:
            old.unlink()
    wheel = build(DIST)
    with tempfile.TemporaryDirectory(prefix="contit-mcp-release-") as scratch:
        checks: list[tuple[str, Callable[[], str]]] = [
            ("sources", committed),
            ("builds", lambda: check_reproducible(DIST, Path(scratch))),
            ("content", lambda: check_content(wheel)),
            ("index", lambda: run(TOOLS / "twine", "check", "--strict", wheel, DIST / SDIST).split()[-1]),
            ("bill of materials", bill_of_materials),
            *([("bundle", lambda: check_bundle(BUNDLE, wheel))] if BUNDLE.exists() else []),
            *installations(Path(scratch)),
        ]
        failed = [what for what, check in checks if not holds(what, check)]
    write_checksums()
    if failed:
        raise click.ClickException(f"These checks failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()

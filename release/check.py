"""make release-check: build wheel and sdist, install and try them in every way, and say in a table what holds."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from release.installs import Installer, base_python, pythons
from release.project import BUNDLE, DIST, STEM, ReleaseError, run, source_date_epoch, uncommitted, write_checksums
from release.registry import SERVER_NAME
from release.wheels import (
    SDIST,
    WHEEL,
    build,
    check_bundle,
    check_metadata,
    check_sdist,
    check_wheel,
    copy_source,
    same_bytes,
    unpack_sdist,
)

AT_ONCE = 2
OLDEST = ("--resolution", "lowest-direct")
"""uv's options for the oldest versions that pyproject.toml allows."""


class Row(NamedTuple):
    """One line of the table."""

    holds: bool
    what: str
    detail: str
    seconds: float


def check(what: str, prove: Callable[[], str]) -> Row:
    """One row: what is proved, and what the proof says."""
    began = time.monotonic()
    try:
        detail, holds = prove(), True
    except (ReleaseError, OSError, ExceptionGroup, TimeoutError) as exc:
        detail, holds = _words(exc), False
    return Row(holds, what, detail, time.monotonic() - began)


def built(scratch: Path) -> str:
    """Build into dist, and again elsewhere and from the sdist: three builds, the same bytes."""
    DIST.mkdir(exist_ok=True)
    for pattern in ("*.whl", "*.tar.gz", "*.cdx.json", "SHA256SUMS"):
        for old in DIST.glob(pattern):
            old.unlink()
    build(copy_source(scratch / "one"), DIST)
    build(copy_source(scratch / "elsewhere" / "two"), scratch / "again")
    for name in (WHEEL, SDIST):
        same_bytes(DIST / name, scratch / "again" / name)
    build(unpack_sdist(DIST / SDIST, scratch / "unpacked"), scratch / "from-sdist", kinds=("wheel",))
    same_bytes(DIST / WHEEL, scratch / "from-sdist" / WHEEL)
    return f"two builds and the sdist's wheel are byte for byte the same (SOURCE_DATE_EPOCH={source_date_epoch()})"


def committed() -> str:
    """A release is what a commit holds."""
    if left := uncommitted():
        raise ReleaseError(f"These are in no commit: {', '.join(left[:5])}.")
    return "all that is built is in a commit"


def twine_content() -> str:
    """What an index would refuse or render badly."""
    run(sys.executable, "-m", "twine", "check", "--strict", DIST / WHEEL, DIST / SDIST)
    return "twine check --strict: the README renders as the long description"


def installs(scratch: Path) -> list[tuple[str, Callable[[], str]]]:
    """Every way to install, each in an empty environment of its own."""
    wheel, sdist = DIST / WHEEL, DIST / SDIST

    def into(name: str, artifact: Path) -> Installer:
        (scratch / name).mkdir()
        return Installer(artifact, scratch / name)

    mine = ".".join(map(str, sys.version_info[:2]))
    bill = DIST / f"{STEM}.cdx.json"
    rows: list[tuple[str, Callable[[], str]]] = [
        (f"pip, wheel, Python {mine}", into("pip-wheel", wheel).with_pip),
        ("pip, sdist", into("pip-sdist", sdist).with_pip),
        ("pipx, wheel", into("pipx", wheel).with_pipx),
        ("uv tool run, wheel", into("uvx", wheel).with_uvx),
        ("uv, sdist", partial(into("uv-sdist", sdist).with_uv, base_python())),
        ("uv, the tested versions", partial(into("tested", wheel).with_tested_versions, bill)),
        ("uv, the oldest versions", partial(into("oldest", wheel).with_uv, base_python(), options=OLDEST)),
    ]
    for version, python in pythons().items():
        if python is not None and version != mine:
            rows.append((f"uv, wheel, Python {version}", partial(into(version, wheel).with_uv, python)))
    return rows


@click.command()
def main() -> None:
    """Build wheel and sdist into dist/, and say what holds of them; the exit code says whether all does."""
    if os.name != "posix":
        raise click.ClickException("This runs on Linux and macOS.")
    scratch = Path(tempfile.mkdtemp(prefix="contit-mcp-release-"))
    began = time.monotonic()
    try:
        rows = [_told(check("builds", lambda: built(scratch)))]
        if rows[0].holds:
            rows += [
                _told(check("sources", committed)),
                _told(check("wheel, content", lambda: check_wheel(DIST / WHEEL))),
                _told(check("sdist, content", lambda: check_sdist(DIST / SDIST))),
                _told(check("metadata", lambda: check_metadata(DIST / WHEEL, server_name=SERVER_NAME))),
                _told(check("long description", twine_content)),
            ]
            if BUNDLE.exists():
                rows.append(_told(check("bundle", lambda: check_bundle(BUNDLE, DIST / WHEEL))))
            with ThreadPoolExecutor(AT_ONCE) as pool:
                running: list[Future[Row]] = [pool.submit(check, *row) for row in installs(scratch)]
                rows += [_told(row.result()) for row in running]
            for version, python in pythons().items():
                if python is None:
                    click.echo(f"  --   Python {version:<22} not on this machine: not tried")
            write_checksums()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    failed = [row.what for row in rows if not row.holds]
    click.echo(f"{len(rows) - len(failed)} of {len(rows)} hold, {time.monotonic() - began:.0f} s.")
    if failed:
        raise click.ClickException(f"These do not hold: {', '.join(failed)}.")
    click.echo("In dist/: " + ", ".join(sorted(path.name for path in DIST.iterdir())))


def _told(row: Row) -> Row:
    mark = "ok" if row.holds else "FAIL"
    click.echo(f"  {mark:<4} {row.what:<29} {row.detail}  ({row.seconds:.1f} s)")
    return row


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


if __name__ == "__main__":
    main()

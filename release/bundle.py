"""make bundle: one file that Claude Desktop installs by a double click, packed, and tried as a host starts it."""

import base64
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import anyio
import click
from mcp_types import Tool

from contit_mcp.server.server import ICON_DATA_URI
from release.bundle_host import try_bundle
from release.manifest import ICON, ICON_WIDTH, bundle_pyproject, manifest
from release.project import BUNDLE, DIST, ROOT, ReleaseError, run, source_date_epoch, write_checksums
from release.trying import Start, bare_environment, tools_of
from release.wheels import WHEEL, build, copy_source

NPM = ROOT / "release" / "npm"
PACKER = NPM / "node_modules" / ".bin" / "mcpb"


def icon() -> bytes:
    """The server's own icon as a PNG.

    Raises:
        ReleaseError: It could not be drawn.
    """
    node = shutil.which("node")
    if node is None:
        raise ReleaseError("node is not there.")
    svg = base64.b64decode(ICON_DATA_URI.partition(",")[2])
    drawn = subprocess.run([node, NPM / "icon.mjs", str(ICON_WIDTH)], input=svg, capture_output=True, check=False)
    if drawn.returncode or not drawn.stdout.startswith(b"\x89PNG"):
        raise ReleaseError(f"The icon could not be drawn: {drawn.stderr.decode()[-300:]}")
    return drawn.stdout


def stage(folder: Path, wheel: Path, tools: list[Tool], picture: bytes) -> Path:
    """Lay out what goes into the bundle: the package as the wheel has it, what starts it, and what describes it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("contit_mcp/")])
    shutil.copyfile(ROOT / "release" / "bundle_main.py", folder / "main.py")
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    (folder / ICON).write_bytes(picture)
    (folder / "pyproject.toml").write_text(bundle_pyproject(), encoding="utf-8")
    described = json.dumps(manifest(tools), indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(described, encoding="utf-8")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def pack(folder: Path, bundle: Path) -> None:
    """Validate and pack with the packer of the format, and make it the same whenever it is packed.

    Raises:
        ReleaseError: The manifest is not valid, or something is not in the archive.
    """
    run(PACKER, "validate", folder)
    run(PACKER, "pack", folder, bundle)
    set_times(bundle, int(source_date_epoch()))
    staged = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    with zipfile.ZipFile(bundle) as archive:
        if damaged := archive.testzip():
            raise ReleaseError(f"{damaged} is damaged in the bundle.")
        if left_out := staged ^ set(archive.namelist()):
            raise ReleaseError(f"The packer left out {sorted(left_out)[:5]}.")


def set_times(bundle: Path, epoch: int) -> None:
    """Write one time into every entry of a ZIP archive, where the packer writes when it ran."""
    when = datetime.fromtimestamp(epoch, UTC)
    stamp = struct.pack(
        "<HH",
        when.hour << 11 | when.minute << 5 | when.second // 2,
        (when.year - 1980) << 9 | when.month << 5 | when.day,
    )
    with zipfile.ZipFile(bundle) as archive:
        entries, at = archive.infolist(), archive.start_dir
    data = bytearray(bundle.read_bytes())
    for entry in entries:
        data[entry.header_offset + 10 : entry.header_offset + 14] = stamp
        if data[at : at + 4] != b"PK\x01\x02":
            raise ReleaseError(f"{bundle.name} is no archive as the packer makes them.")
        data[at + 12 : at + 16] = stamp
        at += 46 + sum(struct.unpack_from("<HHH", data, at + 28))
    bundle.write_bytes(data)


def make(scratch: Path) -> int:
    """Build the bundle into dist, twice; return how many entries it has."""
    build(copy_source(scratch / "source"), scratch, kinds=("wheel",))
    start = Start(sys.executable, ["-m", "contit_mcp", "stdio"], bare_environment(scratch))
    tools, picture = anyio.run(tools_of, start), icon()
    DIST.mkdir(exist_ok=True)
    pack(stage(scratch / "first", scratch / WHEEL, tools, picture), BUNDLE)
    time.sleep(2)  # the grain of an archive's times
    pack(stage(scratch / "second", scratch / WHEEL, tools, picture), scratch / BUNDLE.name)
    if BUNDLE.read_bytes() != (scratch / BUNDLE.name).read_bytes():
        raise ReleaseError("The bundle is another one each time that it is packed.")
    with zipfile.ZipFile(BUNDLE) as archive:
        return len(archive.namelist())


@click.command()
def main() -> None:
    """Build dist/contit-mcp-VERSION.mcpb, and try it as a host does."""
    if not PACKER.exists():
        raise click.ClickException("The packer is not installed: make bundle")
    scratch = Path(tempfile.mkdtemp(prefix="contit-mcp-bundle-"))
    try:
        count = make(scratch)
        click.echo(f"  ok   packed twice, the same bytes: {count} files, {BUNDLE.stat().st_size // 1000} kB")
        run(PACKER, "unpack", BUNDLE, scratch / "unpacked")
        for line in anyio.run(try_bundle, scratch / "unpacked", scratch):
            click.echo(f"  ok   {line}")
    except ReleaseError as exc:
        raise click.ClickException(str(exc)) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    write_checksums()
    click.echo(BUNDLE.relative_to(ROOT))


if __name__ == "__main__":
    main()

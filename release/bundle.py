"""make bundle: one file that Claude Desktop installs by a double click, packed, and tried as a host starts it."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import click
from mcp_types import Tool

from contit_mcp.cli.sandbox import on_free_port
from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.server.server import ICON_DATA_URI
from release.artifacts import WHEEL, build, copy_source
from release.manifest import ICON, ICON_WIDTH, bundle_pyproject, manifest
from release.project import BUNDLE, DIST, ROOT, ReleaseError, run, source_date_epoch, write_checksums
from release.trying import Start, answer_of, bare_environment, text_of, tools_of

NPM = ROOT / "release" / "npm"
PACKER = NPM / "node_modules" / ".bin" / "mcpb"
KEY = "a-key-that-a-user-filled-in"
BLANK = {"api_key": "", "access_token": "", "base_url": "", "sandbox": False, "wait_seconds": None}


def icon() -> bytes:
    """Return the server's own icon as a PNG."""
    svg = base64.b64decode(ICON_DATA_URI.partition(",")[2])
    drawn = subprocess.run(["node", NPM / "icon.mjs", str(ICON_WIDTH)], input=svg, capture_output=True, check=False)  # noqa: S607
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
    return folder


def pack(folder: Path, bundle: Path) -> int:
    """Pack the folder, a ZIP archive with the same bytes whenever it is packed; return how many files it has."""
    when = datetime.fromtimestamp(int(source_date_epoch()), UTC).timetuple()[:6]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), when)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return len(files)


def started(bundle: Path, filled_in: dict[str, Any], environment: dict[str, str]) -> Start:
    """Return how a host starts the bundle, by the packer's own substitution."""
    start: dict[str, Any] = json.loads(run("node", NPM / "host.mjs", bundle, json.dumps(filled_in)))
    return Start(start["command"], start["args"], environment | start["env"])


async def try_bundle(bundle: Path, scratch: Path) -> None:
    """Start an unpacked bundle with each way of filling in its fields, and print a line for each.

    Raises:
        ReleaseError: It does not answer, or does not say what to set.
    """
    binaries = Path(sys.executable).parent  # a desktop's environment, with the uv that this one has pinned
    (scratch / "home").mkdir()
    environment = bare_environment(scratch / "home", path=f"{binaries}{os.pathsep}{os.environ['PATH']}") | {
        "UV_CACHE_DIR": run(binaries / "uv", "cache", "dir").strip(),
        "CONTIT_MCP_LOG_LEVEL": "WARNING",
    }
    as_written = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["server"]["mcp_config"]["env"]
    words = ["run", "--directory", str(bundle), "main.py"]
    in_place = Start("uv", [*words, "--sandbox=${user_config.sandbox}"], environment | as_written)
    sandbox = create_sandbox(SandboxOptions(run_seconds=0.3, api_keys=frozenset({KEY})))
    async with on_free_port(sandbox) as url:
        filled_in = BLANK | {"api_key": KEY, "base_url": url, "wait_seconds": 30}
        for how, start, answered in (
            ("the switch on, on its first start", started(bundle, {"sandbox": True}, environment), True),
            ("every field left blank", started(bundle, BLANK, environment), False),
            ("placeholders in place", in_place, False),
            ("a host that passes nothing", Start("uv", words, environment), False),
            ("a key and an address", started(bundle, filled_in, environment), True),
        ):
            result = await answer_of(start)
            said = text_of(result)
            if answered != (not result.is_error and "draft" in said) or (not answered and "CONTIT_API_KEY" not in said):
                raise ReleaseError(f"With {how} the bundle says: {said}")
            click.echo(f"  ok   {how}: four tools, {'an answer' if answered else 'it says what to set'}")


@click.command()
def main() -> None:
    """Build dist/contit-mcp-VERSION.mcpb, and try it as a host does."""
    if not PACKER.exists():
        raise click.ClickException("The packer is not installed: make bundle")
    scratch = Path(tempfile.mkdtemp(prefix="contit-mcp-bundle-"))
    try:
        build(copy_source(scratch / "source"), scratch)
        start = Start(sys.executable, ["-m", "contit_mcp", "stdio"], bare_environment(scratch))
        folder = stage(scratch / "bundle", scratch / WHEEL, anyio.run(tools_of, start), icon())
        run(PACKER, "validate", folder)
        DIST.mkdir(exist_ok=True)
        click.echo(f"  ok   {pack(folder, BUNDLE)} files, {BUNDLE.stat().st_size // 1000} kB")
        run(PACKER, "unpack", BUNDLE, scratch / "unpacked")
        anyio.run(try_bundle, scratch / "unpacked", scratch)
    except ReleaseError as exc:
        raise click.ClickException(str(exc)) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    write_checksums()
    click.echo(BUNDLE.relative_to(ROOT))


if __name__ == "__main__":
    main()

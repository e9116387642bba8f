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

from contit_mcp.cli.sandbox import on_free_port
from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.server.server import ICON, WEBSITE
from release.project import (
    BUNDLE,
    DIST,
    NAME,
    PROJECT,
    ROOT,
    VERSION,
    ReleaseError,
    build,
    claimed_pythons,
    pinned_requirements,
    run,
    source_date_epoch,
    write_checksums,
)
from release.trial import ask, bare_environment

NPM = ROOT / "release" / "npm"
PACKER = NPM / "node_modules" / ".bin" / "mcpb"
SOURCES = ROOT / "release" / "mcpb"
SNAPSHOT = ROOT / "tests" / "server" / "tools.snapshot.json"
KEY = "a-key-that-a-user-filled-in"
BLANK = {"api_key": "", "access_token": "", "base_url": "", "sandbox": False, "wait_seconds": None}


def manifest() -> dict[str, Any]:
    """Return the manifest, with the facts that other files of the project state.

    It has no `compatibility.runtimes`: uv brings the Python, and a host must not look for one.
    """
    tools = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    written: dict[str, Any] = json.loads((SOURCES / "manifest.json").read_text(encoding="utf-8"))
    return written | {
        "version": VERSION,
        "description": PROJECT["description"],
        "author": {"name": PROJECT["authors"][0]["name"]},
        "homepage": WEBSITE,
        "keywords": PROJECT["keywords"],
        "license": PROJECT["license"],
        "tools": [{"name": tool["name"], "description": tool["description"]} for tool in tools],
    }


def project_file() -> str:
    """Return the pyproject.toml that uv reads for main.py: the pinned dependencies. The package lies beside it."""
    pins = "".join(f"  {json.dumps(line)},\n" for line in pinned_requirements())
    following = f"3.{int(claimed_pythons()[-1].partition('.')[2]) + 1}"
    return (
        f'[project]\nname = "{NAME}"\nversion = "{VERSION}"\n'
        f'requires-python = "{PROJECT["requires-python"]},<{following}"\n'
        f"dependencies = [\n{pins}]\n\n[tool.uv]\npackage = false\n"
    )


def draw_icon(file: Path) -> None:
    """Write the server's icon as a PNG."""
    svg = base64.b64decode(ICON.src.partition(",")[2])
    file.write_bytes(subprocess.run(["node", NPM / "icon.mjs", "512"], input=svg, stdout=-1, check=True).stdout)  # noqa: S607


def stage(folder: Path, wheel: Path) -> Path:
    """Lay out the bundle except its icon: the wheel's package, main.py, and the files that describe the bundle."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("contit_mcp/")])
    shutil.copyfile(SOURCES / "main.py", folder / "main.py")
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    (folder / "pyproject.toml").write_text(project_file(), encoding="utf-8")
    described = json.dumps(manifest(), indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(described, encoding="utf-8")
    return folder


def pack(folder: Path, bundle: Path) -> None:
    """Pack a folder as a ZIP archive that has the same bytes whenever it is packed."""
    when = datetime.fromtimestamp(int(source_date_epoch()), UTC).timetuple()[:6]
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), when)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


async def try_bundle(bundle: Path, home: Path) -> None:
    """Start an unpacked bundle with each way of filling in its fields, and print a line for each.

    Raises:
        ReleaseError: It does not answer, or does not say what to set.
    """
    binaries = Path(sys.executable).parent  # has the pinned uv
    environment = bare_environment(home, path=f"{binaries}{os.pathsep}{os.environ['PATH']}")
    environment["UV_CACHE_DIR"] = run(binaries / "uv", "cache", "dir").strip()

    def started(filled_in: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Return how a host starts the bundle, by the packer's own substitution."""
        start = json.loads(run("node", NPM / "host.mjs", bundle, json.dumps(filled_in)))
        return [start["command"], *start["args"]], environment | start["env"]

    plain = ["uv", "run", "--directory", str(bundle), "main.py"]
    as_written = manifest()["server"]["mcp_config"]["env"]
    sandbox = create_sandbox(SandboxOptions(run_seconds=0.3, api_keys=frozenset({KEY})))
    async with on_free_port(sandbox) as url:
        filled_in = BLANK | {"api_key": KEY, "base_url": url, "wait_seconds": 30}
        for how, (command, variables), wanted in (
            ("the switch on, on its first start", started({"sandbox": True}), True),
            ("every field left blank", started(BLANK), False),
            ("placeholders in place", ([*plain, "--sandbox=${user_config.sandbox}"], environment | as_written), False),
            ("a host that passes nothing", (plain, environment), False),
            ("a key and an address", started(filled_in), True),
        ):
            answered, text = await ask(command, variables)
            if answered != wanted or (not wanted and "CONTIT_API_KEY" not in text):
                raise ReleaseError(f"With {how} the bundle says: {text}")
            click.echo(f"  ok   {how}: four tools, {'an answer' if answered else 'it says what to set'}")


@click.command()
def main() -> None:
    """Build dist/contit-mcp-VERSION.mcpb, and try it as a host does."""
    with tempfile.TemporaryDirectory(prefix="contit-mcp-bundle-") as made:
        scratch = Path(made)
        folder = stage(scratch / "bundle", build(scratch))
        draw_icon(folder / "icon.png")
        (scratch / "home").mkdir()
        DIST.mkdir(exist_ok=True)
        try:
            run(PACKER, "validate", folder)
            pack(folder, BUNDLE)
            run(PACKER, "unpack", BUNDLE, scratch / "unpacked")
            anyio.run(try_bundle, scratch / "unpacked", scratch / "home")
        except ReleaseError as exc:
            raise click.ClickException(str(exc)) from None
    write_checksums()
    click.echo(f"{BUNDLE.relative_to(ROOT)}, {BUNDLE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()

"""Start an unpacked bundle as a host does: its fields filled in, without a shell, in a bare environment."""

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp_types import CallToolResult

from contit_mcp.cli.sandbox import KEEP_ALIVE_SECONDS
from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from release.project import ROOT, ReleaseError, run
from release.trying import Start, answer_of, bare_environment, text_of

KEY = "a-key-that-a-user-filled-in"
BLANK = {"api_key": "", "access_token": "", "base_url": "", "sandbox": False, "wait_seconds": None}


def started(bundle: Path, filled_in: dict[str, Any], environment: dict[str, str]) -> Start:
    """How a host starts it, by the packer's own substitution."""
    node = shutil.which("node")
    if node is None:
        raise ReleaseError("node is not there.")
    said = run(node, ROOT / "release" / "npm" / "host.mjs", bundle, json.dumps(filled_in))
    start: dict[str, Any] = json.loads(said)
    return Start(start["command"], start["args"], environment | start["env"])


async def try_bundle(bundle: Path, scratch: Path) -> list[str]:
    """Hold that it answers with each way of filling in its fields; return a line for each.

    Raises:
        ReleaseError: It does not.
    """
    environment = host_environment(scratch)
    literal = Start("uv", ["run", "--directory", str(bundle), "main.py", "--sandbox=${user_config.sandbox}"])
    ignorant = Start("uv", ["run", "--directory", str(bundle), "main.py"])
    as_written = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["server"]["mcp_config"]["env"]
    told: list[str] = []

    async def expect(how: str, start: Start, *, answered: bool) -> None:
        began = time.monotonic()
        result = await answer_of(start)
        if answered != _answered(result) or (not answered and "CONTIT_API_KEY" not in text_of(result)):
            raise ReleaseError(f"With {how} the bundle says: {text_of(result)}")
        outcome = "an answer" if answered else "it says what to set"
        told.append(f"{how}: four tools, {outcome}  ({time.monotonic() - began:.1f} s)")

    await expect("the switch on, on its first start", started(bundle, {"sandbox": True}, environment), answered=True)
    await expect("nothing filled in", started(bundle, {}, environment), answered=False)
    await expect("every field left blank", started(bundle, BLANK, environment), answered=False)
    await expect(
        "placeholders left in place", Start(literal.command, literal.args, environment | as_written), answered=False
    )
    await expect("a host that passes nothing", Start(ignorant.command, ignorant.args, environment), answered=False)
    async with _contit() as url:
        filled_in = BLANK | {"api_key": KEY, "base_url": url, "wait_seconds": 30}
        await expect("a key and an address", started(bundle, filled_in, environment), answered=True)
    return told


def host_environment(scratch: Path) -> dict[str, str]:
    """A desktop's, with the uv that this environment has pinned; what it downloads it keeps where uv always does."""
    tools = Path(sys.executable).parent
    cache = run(tools / "uv", "cache", "dir").strip()
    home = scratch / "home"
    home.mkdir()
    quiet = {"UV_CACHE_DIR": cache, "CONTIT_MCP_LOG_LEVEL": "WARNING"}
    return bare_environment(home, path=f"{tools}{os.pathsep}{os.defpath}") | quiet


def _answered(result: CallToolResult) -> bool:
    return not result.is_error and "draft" in text_of(result)


@asynccontextmanager
async def _contit() -> AsyncIterator[str]:
    """A Contit on a port of this machine that takes one key, and no other."""
    app = create_sandbox(SandboxOptions(run_seconds=0.3, api_keys=frozenset({KEY})))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=KEEP_ALIVE_SECONDS
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            while not server.started:
                await anyio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True

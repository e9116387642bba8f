"""Real processes and ports for tests: a sandbox on loopback, and `contit-mcp stdio` as a host would start it."""

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import uvicorn
from anyio.abc import Process
from starlette.applications import Starlette

from contit_mcp.cli.sandbox import KEEP_ALIVE_SECONDS
from contit_mcp.http.serve import Listener
from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord

COMMAND = [sys.executable, "-m", "contit_mcp"]


STATE = tempfile.TemporaryDirectory(prefix="contit-mcp-tests-")
"""The state folder of all children of these tests: never the developer's own."""


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without anything of Contit's, with a state folder of the tests', and with `more`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_")}
    return clean | {"CONTIT_MCP_STATE_DIR": STATE.name} | more


@asynccontextmanager
async def on_port(app: Starlette) -> AsyncIterator[str]:
    """An ASGI application on a free loopback port, inside this process; gives its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=KEEP_ALIVE_SECONDS
        )
        server = Listener(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            while not server.started:
                await anyio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True
            server.force_exit = True


@asynccontextmanager
async def sandbox_on_port(options: SandboxOptions | None = None) -> AsyncIterator[tuple[str, SandboxRecord]]:
    """A sandbox on a free loopback port: its base URL, and what it has seen."""
    app = create_sandbox(options or SandboxOptions(run_seconds=0.3))
    async with on_port(app) as url:
        yield url, app.state.sandbox


@dataclass
class Child:
    """`contit-mcp stdio`, spoken to byte by byte in the handshake era."""

    process: Process
    stdout: bytes = b""
    stderr: bytes = b""
    messages: list[dict[str, Any]] = field(default_factory=list)
    _arrived: anyio.Event = field(default_factory=anyio.Event)

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write one message."""
        await self.write(json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode() + b"\n")

    async def write(self, data: bytes) -> None:
        """Write raw bytes."""
        assert self.process.stdin is not None
        await self.process.stdin.send(data)

    async def request(self, number: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        await self.send({"id": number, "method": method, "params": dict(params)})
        return await self.answer(number)

    async def answer(self, number: int) -> dict[str, Any]:
        """Wait for the answer of a request."""
        while True:
            for message in self.messages:
                if message.get("id") == number:
                    return message
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def initialize(self) -> None:
        """Shake hands as a host of 2025-06-18 does."""
        info = {"name": "test-host", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
        assert "result" in await self.request(1, "initialize", params)
        await self.send({"method": "notifications/initialized"})

    async def call(self, number: int, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a tool and return its result."""
        answer = await self.request(number, "tools/call", {"name": tool, "arguments": dict(arguments)})
        result: dict[str, Any] = answer["result"]
        return result

    async def end(self, *, by: signal.Signals | None = None) -> int:
        """End it by a signal, or by closing its stdin; return its exit code."""
        assert self.process.stdin is not None
        if by is None:
            await self.process.stdin.aclose()
        else:
            self.process.send_signal(by)
        return await self.process.wait()

    async def read_stdout(self) -> None:
        """Take in stdout until it ends; every line must be a JSON-RPC message."""
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            self.stdout += chunk
            *whole, rest = (rest + chunk).split(b"\n")
            self.messages += [json.loads(line) for line in whole]
            self._arrived.set()

    async def read_stderr(self) -> None:
        """Take in stderr until it ends."""
        assert self.process.stderr is not None
        async for chunk in self.process.stderr:
            self.stderr += chunk


@asynccontextmanager
async def stdio_child(environment: Mapping[str, str], *arguments: str) -> AsyncIterator[Child]:
    """A child that is killed at the end if it still runs."""
    async with await anyio.open_process(
        [*COMMAND, *(arguments or ("stdio",))], env=clean_environment(**environment)
    ) as process:
        child = Child(process)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child.read_stdout)
            tasks.start_soon(child.read_stderr)
            try:
                yield child
            finally:
                if process.returncode is None:
                    process.kill()

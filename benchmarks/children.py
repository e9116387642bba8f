"""The servers that are measured, each a child process, and the local Contit that they ask."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.wire import HttpConnection, StdioConnection

HERE = Path(__file__).parent
OURS, EMPTY, PLAIN, SLEEPING = "contit-mcp", "SDK, empty", "SDK + httpx", "SDK, sleeping"

_SCRIPTS = {EMPTY: "sdk_empty.py", PLAIN: "sdk_httpx.py", SLEEPING: "sdk_sleeping.py"}

ROOM = {
    "CONTIT_MCP_REQUESTS_PER_MINUTE": "10000000",
    "CONTIT_MCP_CALLS_PER_CALLER": "20000",
    "CONTIT_MCP_CALLS_AT_ONCE": "20000",
}
"""One caller makes all calls, so its limits are out of reach."""


def command(who: str, transport: str, *, port: int = 0, more: tuple[str, ...] = ()) -> list[str]:
    """Return the command that starts a server."""
    if who == OURS:
        return [sys.executable, "-m", "contit_mcp", transport, *(["--port", str(port)] if port else [])]
    return [sys.executable, str(HERE / _SCRIPTS[who]), *([str(port)] if port else []), *more]


def environment(contit: str, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of the children, without any other setting of contit-mcp."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_")}
    return clean | {
        "CONTIT_BASE_URL": contit,
        "CONTIT_API_KEY": "key-of-the-benchmark",
        "CONTIT_MCP_STATE_DIR": str(folder),
        **ROOM,
        **more,
    }


@asynccontextmanager
async def local_contit(run_seconds: float, trouble: float = 0.0) -> AsyncIterator[str]:
    """Run the local Contit, and yield its URL."""
    line = [sys.executable, "-m", "benchmarks.contit", str(run_seconds), str(trouble)]
    process = await asyncio.create_subprocess_exec(*line, stdout=PIPE, cwd=HERE.parent)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def over_stdio(who: str, env: Mapping[str, str]) -> AsyncIterator[tuple[Process, StdioConnection]]:
    """Run a server over stdio, with its log in a file as hosts do."""
    with (Path(env["CONTIT_MCP_STATE_DIR"]) / f"{who}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command(who, "stdio"), stdin=PIPE, stdout=PIPE, stderr=log, env=dict(env), limit=2**20
        )
    connection = StdioConnection(process)
    try:
        yield process, connection
    finally:
        await connection.close()


@asynccontextmanager
async def over_http(who: str, env: Mapping[str, str], *more: str) -> AsyncIterator[tuple[Process, int]]:
    """Run a server over HTTP, and yield it and its port once it accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = command(who, "http", port=port, more=more)
    with (Path(env["CONTIT_MCP_STATE_DIR"]) / f"{who}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*line, stdin=DEVNULL, stdout=log, stderr=log, env=dict(env))
    try:
        while True:
            try:
                (await HttpConnection.open(port)).close()
                break
            except OSError:
                if process.returncode is not None:
                    raise
                await asyncio.sleep(0.05)
        yield process, port
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def processor_seconds(process: Process) -> float | None:
    """Return the processor time of a child so far; None if the system has no /proc."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime


def peak_memory(process: Process) -> float | None:
    """Return the peak memory of a child so far in MiB; None if the system has no /proc."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

"""Ten minutes of everything, and nothing is left of it: `make soak` (SOAK_SECONDS shortens it). Linux only.

A server over HTTP before a Contit that is in trouble now and then. Clients come, ask, ask the same again, wait, leave
in the middle, send rubbish, and go; others start a server over stdio for a call. When all of them have gone, as many
tasks, threads, files and sockets must be open as before they came, no run may be held, and memory may have grown only
by what is remembered of the runs.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from benchmarks.children import HERE, OURS, environment, local_contit, over_stdio
from benchmarks.wire import ERAS, HttpConnection, Refused, http_request, ids_in, tool_call

CLIENTS = 25
RUN_SECONDS = 1.5
TROUBLE = 0.03

QUIET_SECONDS = 25.0
"""Until connections to Contit that are not used have been closed (20 s), and everything else long has."""

KIB_A_RUN = 4.0
"""What may be remembered of a run in memory, its answer included. Beyond 10,000 runs the oldest are forgotten."""

SLACK_MIB = 8.0
"""What an allocator keeps for itself."""

PATIENCE = 60.0
"""Seconds after which an answer will not come."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the server holds."""

    tasks: int
    threads: int
    files: int
    sockets: int
    memory_mib: float

    def more_than(self, other: "Held") -> list[str]:
        """What there is more of than at another time. Memory is another question."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name}: {mine[name]}, before {theirs[name]}" for name in mine if name != "memory_mib"
                and mine[name] > theirs[name]]  # fmt: skip


async def held_by(process: Process) -> Held:
    """Ask the server, and the system about it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"count\n")
    told = json.loads(await process.stdout.readline())
    base = Path(f"/proc/{process.pid}")
    targets = []
    for entry in (base / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            targets.append(str(entry.readlink()))
    sockets = sum(target.startswith("socket:") for target in targets)
    resident = int((base / "statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Held(told["tasks"], told["threads"], len(targets) - sockets, sockets, resident / 2**20)


@asynccontextmanager
async def watched_server(seen: dict[str, str]) -> AsyncIterator[tuple[Process, int]]:
    """The server, which tells what it holds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "benchmarks.watched", "http", "--port", str(port)]
    with (Path(seen["CONTIT_MCP_STATE_DIR"]) / "server.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *line, stdin=PIPE, stdout=PIPE, stderr=log, env=seen, cwd=HERE.parent
        )
    try:
        while True:
            try:
                (await HttpConnection.open(port)).close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield process, port
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


class Clients:
    """Those who come and go.

    Args:
        port: Of the server.
        seen: The environment of servers over stdio.
        until: When they go for good, on the monotonic clock.
    """

    def __init__(self, port: int, seen: dict[str, str], until: float) -> None:
        self._port = port
        self._seen = seen
        self._until = until
        self.seen_so_far: Counter[str] = Counter()

    async def run(self) -> None:
        """All of them, at once."""
        await asyncio.gather(self._over_stdio(), *(self._over_http(number) for number in range(CLIENTS)))

    async def _over_http(self, number: int) -> None:
        draw = random.Random(number)
        while time.monotonic() < self._until:
            connection = await HttpConnection.open(self._port)
            with contextlib.closing(connection):
                for _ in range(draw.randint(1, 4)):
                    what = draw.choice((self._ask, self._ask_twice, self._start, self._leave, self._rubbish))
                    await self._one(what, connection, draw)
            await asyncio.sleep(draw.random())

    async def _one(self, what: object, connection: HttpConnection, draw: random.Random) -> None:
        name = what.__name__.strip("_")  # type: ignore[attr-defined]
        try:
            async with asyncio.timeout(PATIENCE):
                await what(connection, draw)  # type: ignore[operator]
        except Refused:
            self.seen_so_far[f"{name}: refused"] += 1  # Contit was in trouble
        except TimeoutError:
            self.seen_so_far["hangs"] += 1
        else:
            self.seen_so_far[name] += 1

    def _request(self, draw: random.Random, tool: str, **arguments: object) -> bytes:
        return http_request(self._port, draw.choice(ERAS), tool, arguments)

    async def _ask(self, connection: HttpConnection, draw: random.Random) -> None:
        await connection.exchange(self._request(draw, "contit_ask", prompt=f"Question {draw.random()}"))

    async def _ask_twice(self, connection: HttpConnection, draw: random.Random) -> None:
        """One gives up early; the same question again joins its run."""
        prompt = f"Question {draw.random()}"
        await connection.exchange(self._request(draw, "contit_ask", prompt=prompt, wait_seconds=0.3))
        await connection.exchange(self._request(draw, "contit_ask", prompt=prompt))

    async def _start(self, connection: HttpConnection, draw: random.Random) -> None:
        started = await connection.exchange(self._request(draw, "contit_start", prompt=f"Question {draw.random()}"))
        run = ids_in(started)
        await connection.exchange(self._request(draw, "contit_status", **run))
        await connection.exchange(self._request(draw, "contit_response", **run))

    async def _leave(self, connection: HttpConnection, draw: random.Random) -> None:
        """Close the connection in the middle of a call."""
        asking = asyncio.create_task(self._ask(connection, draw))
        await asyncio.sleep(draw.random() * RUN_SECONDS)
        connection.close()
        with contextlib.suppress(Refused):
            await asking

    async def _rubbish(self, connection: HttpConnection, draw: random.Random) -> None:
        request = self._request(draw, "contit_ask", prompt="?", unknown=draw.random())
        with contextlib.suppress(Refused):
            await connection.exchange(request.replace(b'"prompt"', draw.choice((b'"prompt"', b'"promp', b"\xff\xfe"))))

    async def _over_stdio(self) -> None:
        while time.monotonic() < self._until:
            async with over_stdio(OURS, self._seen) as (process, connection):
                await connection.initialize()
                with contextlib.suppress(Refused):
                    await connection.exchange(tool_call("legacy", "contit_ask", {"prompt": "Over stdio?"}))
            self.seen_so_far[f"stdio servers, exit code {process.returncode}"] += 1


def still_held(folder: Path) -> int:
    """Runs that some process still claims to be asking about."""
    with contextlib.closing(sqlite3.connect(next(folder.glob("runs-v*.sqlite3")))) as db:
        return int(db.execute("SELECT count(*) FROM run WHERE held_until > ?", [time.time()]).fetchone()[0])


def remembered(folder: Path) -> int:
    """Runs in the store."""
    with contextlib.closing(sqlite3.connect(next(folder.glob("runs-v*.sqlite3")))) as db:
        return int(db.execute("SELECT count(*) FROM run").fetchone()[0])


async def soak(seconds: float) -> list[str]:
    """What was left behind; nothing, if all is well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with local_contit(RUN_SECONDS, TROUBLE) as contit:
            seen = environment(contit, folder)
            async with watched_server(seen) as (process, port):
                await Clients(port, seen, time.monotonic() + min(10.0, seconds / 3)).run()  # opens what stays open
                await asyncio.sleep(QUIET_SECONDS)
                before, runs_before = await held_by(process), remembered(folder)
                clients = Clients(port, seen, time.monotonic() + seconds)
                await clients.run()
                await asyncio.sleep(QUIET_SECONDS)
                after, runs = await held_by(process), remembered(folder) - runs_before
            code = process.returncode
        problems = after.more_than(before)
        grown = after.memory_mib - before.memory_mib
        if grown > SLACK_MIB + runs * KIB_A_RUN / 1024:
            problems.append(f"memory: {grown:.1f} MiB more after {runs} runs")
        if held := still_held(folder):
            problems.append(f"runs still held: {held}")
        if clients.seen_so_far["hangs"]:
            problems.append(f"calls without an answer: {clients.seen_so_far['hangs']}")
        if code != 0:
            problems.append(f"exit code {code}")
        errors = (folder / "server.log").read_text(encoding="utf-8").count('"level": "error"')
        if errors:
            problems.append(f"errors in the log: {errors}")
        click.echo(f"before {before}\nafter  {after}\n{runs} runs, {grown:.1f} MiB more\n{dict(clients.seen_so_far)}")
        return problems


def main() -> None:
    """Soak, and say what was left behind (exit code 1)."""
    problems = asyncio.run(soak(float(os.environ.get("SOAK_SECONDS", "600"))))
    for problem in problems:
        click.echo(f"left behind: {problem}", err=True)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

"""Ten minutes of mixed calls, after which nothing may be left behind: `make soak`. Linux only.

Clients ask, ask the same again, start, and leave in the middle of a call, in both eras, while Contit fails now and
then. Afterwards there may be no more threads, open files, sockets and leases than before, and memory may have grown
only by the runs that are remembered. SOAK_SECONDS shortens it.
"""

import asyncio
import contextlib
import os
import random
import sqlite3
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from benchmarks.children import OURS, environment, local_contit, over_http
from benchmarks.wire import ERAS, HttpConnection, Refused, http_request, ids_in

CLIENTS = 25
RUN_SECONDS = 1.5
TROUBLE = 0.03

QUIET_SECONDS = 25.0
"""Until idle connections to Contit have been closed (20 s)."""

KIB_A_RUN = 4.0
SLACK_MIB = 8.0
"""Memory that may be used for each remembered run, and by the allocator."""

PATIENCE = 60.0
"""Seconds until a call counts as hanging."""


@dataclass(frozen=True, slots=True)
class Held:
    """The resources of the server, and the runs in its store."""

    threads: int
    files: int
    sockets: int
    leases: int
    runs: int
    memory_mib: float


def held_by(process: Process, folder: Path) -> Held:
    """Read the resources from /proc and the store."""
    base = Path(f"/proc/{process.pid}")
    targets = []
    for entry in (base / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            targets.append(str(entry.readlink()))
    sockets = sum(target.startswith("socket:") for target in targets)
    memory = int((base / "statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    with contextlib.closing(sqlite3.connect(next(folder.glob("runs-v*.sqlite3")))) as db:
        query = "SELECT count(*) FILTER (WHERE lease_until > ?), count(*) FROM run"
        leases, runs = db.execute(query, [time.time()]).fetchone()
    return Held(len(list((base / "task").iterdir())), len(targets) - sockets, sockets, leases, runs, memory)


async def client(port: int, number: int, until: float, seen: Counter[str]) -> None:
    """Make calls until the time is over, each over a connection of its own."""
    draw = random.Random(number)
    while time.monotonic() < until:
        call = draw.choice((_ask, _ask_twice, _leave, _start))
        with contextlib.closing(await HttpConnection.open(port)) as connection:
            try:
                async with asyncio.timeout(PATIENCE):
                    await call(connection, port, draw)
                seen[call.__name__] += 1
            except Refused:
                seen[f"{call.__name__}, refused"] += 1
            except TimeoutError:
                seen["hanging"] += 1


async def _ask(connection: HttpConnection, port: int, draw: random.Random) -> None:
    prompt = f"Question {draw.random()}"
    await connection.exchange(http_request(port, draw.choice(ERAS), "contit_ask", {"prompt": prompt}))


async def _ask_twice(connection: HttpConnection, port: int, draw: random.Random) -> None:
    """Ask again after the wait has ended; both calls have the same run."""
    question = {"prompt": f"Question {draw.random()}"}
    for more in ({"wait_seconds": 0.3}, {}):
        await connection.exchange(http_request(port, draw.choice(ERAS), "contit_ask", question | more))


async def _leave(connection: HttpConnection, port: int, draw: random.Random) -> None:
    """Close the connection in the middle of a call."""
    asking = asyncio.create_task(_ask(connection, port, draw))
    await asyncio.sleep(draw.random() * RUN_SECONDS)
    connection.close()
    await asking


async def _start(connection: HttpConnection, port: int, draw: random.Random) -> None:
    question, era = {"prompt": f"Question {draw.random()}"}, draw.choice(ERAS)
    run = ids_in(await connection.exchange(http_request(port, era, "contit_start", question)))
    await connection.exchange(http_request(port, era, "contit_response", run))


async def soak(seconds: float) -> list[str]:
    """Run the clients, and return what was left behind."""
    seen: Counter[str] = Counter()

    async def clients(port: int, seconds: float) -> Held:
        until = time.monotonic() + seconds
        await asyncio.gather(*(client(port, number, until, seen) for number in range(CLIENTS)))
        await asyncio.sleep(QUIET_SECONDS)
        return held_by(process, folder)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with local_contit(RUN_SECONDS, TROUBLE) as contit:
            async with over_http(OURS, environment(contit, folder)) as (process, port):
                before = await clients(port, min(10.0, seconds / 3))  # opens what stays open
                after = await clients(port, seconds)
            exit_code = process.returncode
        errors = (folder / f"{OURS}.log").read_text(encoding="utf-8").count('"level": "error"')
    click.echo(f"before {before}\nafter  {after}\n{dict(seen)}")
    problems = [
        f"{name}: {value}, {asdict(before)[name]} before"
        for name, value in asdict(after).items()
        if name in {"threads", "files", "sockets", "leases"} and value > asdict(before)[name]
    ]
    if after.memory_mib - before.memory_mib > SLACK_MIB + (after.runs - before.runs) * KIB_A_RUN / 1024:
        problems.append(f"memory: {after.memory_mib - before.memory_mib:.1f} MiB")
    counts = {"hanging calls": seen["hanging"], "exit code": exit_code, "errors in the log": errors}
    return problems + [f"{what}: {count}" for what, count in counts.items() if count != 0]


if __name__ == "__main__":
    left = asyncio.run(soak(float(os.environ.get("SOAK_SECONDS", "600"))))
    for problem in left:
        click.echo(f"left behind: {problem}", err=True)
    sys.exit(1 if left else 0)

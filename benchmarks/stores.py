"""What the run stores cost: a claim, and all that an ask of a short run writes.

The baseline is what any store in a file pays: one thread hop and one committed row in a bare SQLite table. It is
measured between the others in the same run, so that the ratio does not depend on what else the machine does.
"""

import asyncio
import shutil
import socket
import sqlite3
import statistics
import time
from asyncio.subprocess import DEVNULL
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread

from benchmarks.rows import Row, compared
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Delivery, Question, hash_prompt, intent_to_start
from contit_mcp.runs.sqlite import SqliteRunStore
from contit_mcp.runs.store import RunStore

BARE = "bare commit in a thread"

Operation = Callable[[int], Awaitable[object]]


async def timed(operation: Operation, start: int, each: int) -> float:
    """The median milliseconds of some calls, one after another."""
    took = []
    for number in range(start, start + each):
        began = time.perf_counter()
        await operation(number)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


def bare(file: Path) -> Operation:
    """The baseline."""
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "CREATE TABLE t (a TEXT, b REAL)"):
        db.execute(statement)

    def write(number: int) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (?, ?)", [str(number), 0.0])
        db.execute("COMMIT")

    return lambda number: anyio.to_thread.run_sync(write, number)


async def granted(store: RunStore, prompt: str) -> Claim:
    """Claim a new question."""
    question = Question("owner", None, hash_prompt(prompt))
    intent = intent_to_start(question, delivery=Delivery.OWED, process="p", lease_seconds=25.0, now=store.now())
    return await store.claim(intent)


def claim(store: RunStore) -> Operation:
    """A claim that is granted."""
    return lambda number: granted(store, f"question {number}")


def whole(store: RunStore) -> Operation:
    """All that an ask of a short run writes: claim, ids, end."""

    async def ask(number: int) -> None:
        intent = (await granted(store, f"whole {number}")).record
        run = await store.change(intent, lambda run, now: run.started(f"thread {number}", f"run {number}", now=now))
        answer = "An answer of a common length. " * 20
        await store.change(run, lambda run, now: run.completed(answer, now=now, run_seconds=1.0))

    return ask


@asynccontextmanager
async def local_redis(folder: Path) -> AsyncIterator[str | None]:
    """A Redis or Valkey server of our own; None where the program is not installed."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = await asyncio.create_subprocess_exec(program, *options, stdout=DEVNULL)
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.02)
        writer.close()
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        await process.wait()


async def stores(folder: Path, *, rounds: int, each: int) -> list[Row]:
    """Milliseconds an operation, of each store."""
    async with local_redis(folder) as redis_url:
        opened: dict[str, RunStore] = {
            "memory": MemoryRunStore(),
            "sqlite": SqliteRunStore(folder / "runs"),
        }
        if redis_url is not None:
            from contit_mcp.runs.redis import RedisRunStore  # noqa: PLC0415 - optional

            opened["redis"] = RedisRunStore(redis_url)
        operations = {BARE: bare(folder / "bare")}
        for name, store in opened.items():
            operations[f"{name}: claim"] = claim(store)
            operations[f"{name}: all of an ask"] = whole(store)
        took: dict[str, list[float]] = defaultdict(list)
        for number in range(rounds):
            for name, operation in operations.items():
                took[name].append(await timed(operation, number * each, each))
        for store in opened.values():
            await store.aclose()
    return [
        compared(f"store {name}", "ms", {who: took[who] for who in (BARE, name)}, name, BARE)
        for name in operations
        if name != BARE
    ]

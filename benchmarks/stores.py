"""What the run stores cost per operation: `python benchmarks/stores.py [--redis URL]`.

The baseline is what any store in a file pays: one thread hop and one committed row in a bare SQLite table. It is
measured between the others in the same run, so that the ratio does not depend on what else the machine does.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import click

from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Question, hash_prompt
from contit_mcp.runs.sqlite import SqliteRunStore

ROUNDS = 20
EACH = 100


async def timed(operation: Callable[[int], Awaitable[object]], start: int) -> list[float]:
    """Seconds of each of some calls, one after another."""
    seconds = []
    for number in range(start, start + EACH):
        began = time.perf_counter()
        await operation(number)
        seconds.append(time.perf_counter() - began)
    return seconds


def bare(file: Path) -> Callable[[int], Awaitable[object]]:
    """The baseline."""
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "CREATE TABLE t (a TEXT, b REAL)"):
        db.execute(statement)

    def write(number: int) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (?, ?)", [str(number), 0.0])
        db.execute("COMMIT")

    return lambda number: anyio.to_thread.run_sync(write, number)


def claim(ledger: RunLedger) -> Callable[[int], Awaitable[object]]:
    """A claim that is granted."""
    return lambda number: ledger.claim(
        Question("owner", None, hash_prompt(f"question {number}")), awaited=True, now=time.time()
    )


def whole(ledger: RunLedger) -> Callable[[int], Awaitable[object]]:
    """All that an ask of a short run writes: claim, ids, end."""

    async def ask(number: int) -> None:
        question = Question("owner", None, hash_prompt(f"whole {number}"))
        granted = await ledger.claim(question, awaited=True, now=time.time())
        run = await ledger.started(granted.record, f"thread {number}", f"run {number}", now=time.time())
        await ledger.completed(run, "An answer of a common length. " * 20, now=time.time())

    return ask


async def measure(redis_url: str | None) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        stores = {"memory": MemoryRunStore(), "sqlite": SqliteRunStore(Path(folder) / "runs")}
        if redis_url:
            from contit_mcp.runs.redis import RedisRunStore  # noqa: PLC0415 - optional

            stores["redis"] = RedisRunStore(redis_url)
        operations = {"bare commit in a thread": bare(Path(folder) / "bare")}
        for name, store in stores.items():
            operations[f"{name}: claim"] = claim(RunLedger(store))
            operations[f"{name}: all of an ask"] = whole(RunLedger(store))
        seconds: dict[str, list[float]] = {name: [] for name in operations}
        for number in range(ROUNDS):
            for name, operation in operations.items():
                seconds[name] += await timed(operation, number * EACH)
        baseline = statistics.median(seconds["bare commit in a thread"])
        click.echo(f"{'operation':28} {'median':>10} {'p99':>10} {'ratio':>7}")
        for name, values in seconds.items():
            median, p99 = statistics.median(values), statistics.quantiles(values, n=100)[98]
            click.echo(f"{name:28} {median * 1e3:7.3f} ms {p99 * 1e3:7.3f} ms {median / baseline:6.2f}x")
        for store in stores.values():
            await store.aclose()


@click.command()
@click.option("--redis", help="URL of a Redis server to measure too; its keys expire by themselves.")
def main(redis: str | None) -> None:
    """Measure the run stores."""
    anyio.run(measure, redis)


if __name__ == "__main__":
    main()

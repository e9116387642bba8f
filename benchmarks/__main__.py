"""`python -m benchmarks`: measure, print the table, and say which promise is not kept (exit code 1)."""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import click

from benchmarks.cold_start import cold_start
from benchmarks.many_asks import many_asks
from benchmarks.polls import polls
from benchmarks.report import as_json, lines, machine, missed, read_budget
from benchmarks.rows import Row
from benchmarks.status_call import status_calls
from benchmarks.stores import stores
from benchmarks.variants import variants

PARTS = ("polls", "cold-start", "status", "variants", "stores", "asks", "many-asks")
"""In the order in which they run."""


async def measure(part: str, folder: Path, *, quick: bool) -> list[Row]:
    """The rows of one part. `quick` shows that it works; its numbers mean nothing."""
    match part:
        case "polls":
            rows = polls(runs=200 if quick else 20_000)
        case "cold-start":
            rows = await cold_start(folder, rounds=1 if quick else 11)
        case "status":
            rows = await status_calls(folder, rounds=1 if quick else 11, calls=5 if quick else 50)
        case "variants":
            rows = await variants(folder, rounds=1 if quick else 5, calls=5 if quick else 300)
        case "stores":
            rows = await stores(folder, rounds=1 if quick else 10, each=5 if quick else 100)
        case "asks":
            asks, rounds = (5, 1) if quick else (1_000, 3)
            rows = await many_asks(folder, asks=asks, rounds=rounds, patience=60, plain=not quick)
        case _:
            rows = await many_asks(folder, asks=10 if quick else 5_000, rounds=1, patience=120, plain=False)
    return rows


async def measured(parts: Iterable[str], *, quick: bool) -> AsyncIterator[Row]:
    """The rows of all parts, each as soon as its part is over."""
    for part in parts:
        click.echo(f"{part} …", err=True)
        with tempfile.TemporaryDirectory() as folder:
            for row in await measure(part, Path(folder), quick=quick):
                yield row


async def run(parts: tuple[str, ...], *, quick: bool, as_json_: bool) -> int:
    """Measure and print; the exit code."""
    budget = read_budget()
    began = time.monotonic()
    rows = [row async for row in measured(parts, quick=quick)]
    seconds = time.monotonic() - began
    if as_json_:
        click.echo(as_json(rows, budget, seconds))
    else:
        click.echo("\n".join(lines(rows, budget)))
        click.echo(", ".join(f"{name} {value}" for name, value in machine().items()))
    if quick or set(parts) != set(PARTS):
        return 0  # promises are for whole runs
    problems = missed(rows, budget)
    for problem in problems:
        click.echo(f"missed: {problem}", err=True)
    click.echo(f"{seconds:.0f} s; {len(budget) - len(problems)} of {len(budget)} promises kept", err=True)
    return 1 if problems else 0


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--quick", is_flag=True, help="Show that it works, in seconds; the numbers mean nothing.")
@click.option("--json", "as_json_", is_flag=True, help="Print all values as JSON.")
def main(parts: tuple[str, ...], *, quick: bool, as_json_: bool) -> None:
    """Measure contit-mcp against the SDK's empty server and a plain SDK + httpx server. PARTS: all by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # thousands of connections at once; children inherit it
    try:
        sys.exit(asyncio.run(run(parts or PARTS, quick=quick, as_json_=as_json_)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


if __name__ == "__main__":
    main()

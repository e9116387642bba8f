"""`python -m benchmarks`: measure, print the table, and name each goal that is missed (exit code 1)."""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.cold_start import cold_start
from benchmarks.hostile import hostile_requests
from benchmarks.many_asks import many_asks
from benchmarks.polls import polls
from benchmarks.report import Row, lines, machine, missed, read_budget
from benchmarks.status_call import status_calls

PARTS = ("polls", "cold-start", "status", "asks", "hostile")
"""In the order in which they run."""


async def measure(part: str, folder: Path, *, quick: bool) -> list[Row]:
    """Return the rows of one part. With `quick` the numbers mean nothing."""
    match part:
        case "polls":
            return polls(runs=200 if quick else 20_000)
        case "cold-start":
            return await cold_start(folder, rounds=1 if quick else 11)
        case "status":
            return await status_calls(folder, rounds=1 if quick else 11, calls=5 if quick else 50)
        case "asks":
            asks, rounds = (5, 1) if quick else (1_000, 3)
            return await many_asks(folder, asks=asks, rounds=rounds, patience=60, plain=not quick)
        case _:
            return await hostile_requests(folder, seconds=1.0 if quick else 20.0)


async def run(parts: tuple[str, ...], *, quick: bool) -> int:
    """Measure and print, and return the exit code."""
    budget = read_budget()
    began = time.monotonic()
    rows: list[Row] = []
    for part in parts:
        click.echo(f"{part} …", err=True)
        with tempfile.TemporaryDirectory() as folder:
            rows += await measure(part, Path(folder), quick=quick)
    seconds = time.monotonic() - began
    click.echo("\n".join(lines(rows, budget)))
    click.echo(", ".join(f"{name} {value}" for name, value in machine().items()))
    if quick or set(parts) != set(PARTS):
        return 0  # goals are for whole runs
    problems = missed(rows, budget)
    for problem in problems:
        click.echo(f"missed: {problem}", err=True)
    click.echo(f"{seconds:.0f} s; {len(budget) - len(problems)} of {len(budget)} goals met", err=True)
    return 1 if problems else 0


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--quick", is_flag=True, help="Show that it works, in seconds; the numbers mean nothing.")
def main(parts: tuple[str, ...], *, quick: bool) -> None:
    """Measure contit-mcp against the SDK's empty server and a plain SDK + httpx server. PARTS: all by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a thousand connections at once; children inherit it
    try:
        sys.exit(asyncio.run(run(parts or PARTS, quick=quick)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


if __name__ == "__main__":
    main()

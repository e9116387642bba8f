"""Many asks of 5 s in flight at once in one process, and what they cost beside calls that only sleep."""

import asyncio
import math
import secrets
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import (
    OURS,
    PLAIN,
    SLEEPING,
    environment,
    local_contit,
    over_http,
    peak_memory,
    processor_seconds,
)
from benchmarks.rows import Row
from benchmarks.wire import HttpConnection, Refused, http_request

RUN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Burst:
    """What came of it.

    Attributes:
        answered: How many got their answer in time.
        p99: Seconds; infinite where not all were answered.
        memory: The server's peak, in MiB.
        busy: Seconds for which it kept processors busy.
    """

    answered: int
    p99: float
    memory: float | None
    busy: float | None


async def burst(who: str, seen: dict[str, str], *, asks: int, patience: float) -> Burst:
    """Let so many callers ask at the same moment."""
    more = (str(RUN_SECONDS),) if who == SLEEPING else ()
    async with over_http(who, seen, *more) as (process, port):
        connections = await asyncio.gather(*(HttpConnection.open(port) for _ in range(asks)))
        took: list[float] = []
        busy_before = processor_seconds(process)

        async def ask(number: int, connection: HttpConnection) -> None:
            # Asked before, it might be answered from what is remembered.
            prompt = f"How many drafts are there? ({number}, {secrets.token_hex(8)})"
            request = http_request(port, "legacy", "contit_ask", {"prompt": prompt})
            began = time.perf_counter()
            try:
                await connection.exchange(request)
            except Refused:
                return
            took.append(time.perf_counter() - began)

        tasks = [asyncio.create_task(ask(*pair)) for pair in enumerate(connections)]
        await asyncio.wait(tasks, timeout=patience)
        answered = len(took)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        memory, busy_then = peak_memory(process), processor_seconds(process)
        busy = None if busy_then is None or busy_before is None else busy_then - busy_before
        for connection in connections:
            connection.close()
        if answered < asks and who != OURS:
            process.kill()  # it would go on for minutes
    p99 = statistics.quantiles(took, n=100)[98] if answered == asks else math.inf
    return Burst(answered, p99, memory, busy)


async def many_asks(folder: Path, *, asks: int, rounds: int, patience: float, plain: bool) -> list[Row]:
    """The slowest of a hundred, in seconds; and the peak of memory. All of it beside calls that only sleep."""
    name = f"{asks:,} asks of {RUN_SECONDS:.0f} s at once"
    p99: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    answered: dict[str, list[int]] = defaultdict(list)
    busy: dict[str, list[float]] = defaultdict(list)
    async with local_contit(RUN_SECONDS) as contit:
        seen = environment(contit, folder, CONTIT_MCP_WAIT_SECONDS=f"{patience:.0f}")
        for number in range(rounds):
            for who in (SLEEPING, OURS, *([PLAIN] if plain and not number else [])):
                found = await burst(who, seen, asks=asks, patience=patience)
                answered[who].append(found.answered)
                p99[who].append(found.p99)
                if found.memory is not None:
                    memory[who].append(found.memory)
                if found.busy is not None:
                    busy[who].append(found.busy / asks * 1e3)
    note = "; ".join(f"{who} answered {min(counts):,}" for who, counts in answered.items())
    late = [
        ours / theirs if math.isfinite(ours) and math.isfinite(theirs) else math.inf
        for ours, theirs in zip(p99[OURS], p99[SLEEPING], strict=True)
    ]
    rows = [
        Row(f"{name}, p99", "s", p99, p99[OURS], f"seconds of {OURS}", note),
        Row(
            f"{name}, p99 beside calls that sleep",
            "s",
            {who: p99[who] for who in (SLEEPING, OURS)},
            late,
            f"{OURS} / {SLEEPING}",
        ),
    ]
    if memory:
        ratios = [ours / theirs for ours, theirs in zip(memory[OURS], memory[SLEEPING], strict=True)]
        rows.append(Row(f"{name}, peak memory", "MiB", memory, ratios, f"{OURS} / {SLEEPING}"))
    return [*rows, Row(f"{name}, processor time", "ms an ask", busy)] if busy else rows

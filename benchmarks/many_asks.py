"""Many asks of 5 s in flight at once in one process, compared with calls that only sleep."""

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
from benchmarks.report import Row, compared
from benchmarks.wire import HttpConnection, Refused, http_request

RUN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Burst:
    """The outcome of many asks at one moment; seconds and MiB. `p99` is infinite unless all were answered in time."""

    answered: int
    p99: float
    memory: float | None
    processor: float | None


async def burst(who: str, env: dict[str, str], *, asks: int, patience: float) -> Burst:
    """Ask from `asks` connections at the same moment."""
    more = (str(RUN_SECONDS),) if who == SLEEPING else ()
    async with over_http(who, env, *more) as (process, port):
        connections = await asyncio.gather(*(HttpConnection.open(port) for _ in range(asks)))
        took: list[float] = []
        before = processor_seconds(process)

        async def ask(number: int, connection: HttpConnection) -> None:
            # A repeated prompt could be answered from the store.
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
        memory, after = peak_memory(process), processor_seconds(process)
        for connection in connections:
            connection.close()
        if answered < asks and who != OURS:
            process.kill()  # it would continue for minutes
    p99 = statistics.quantiles(took, n=100)[98] if answered == asks else math.inf
    return Burst(answered, p99, memory, None if after is None or before is None else after - before)


async def many_asks(folder: Path, *, asks: int, rounds: int, patience: float, plain: bool) -> list[Row]:
    """Return the rows of p99, peak memory and processor time; `plain` adds a plain SDK + httpx server, once."""
    found: dict[str, list[Burst]] = defaultdict(list)
    async with local_contit(RUN_SECONDS) as contit:
        env = environment(contit, folder, CONTIT_MCP_WAIT_SECONDS=f"{patience:.0f}")
        for number in range(rounds):
            for who in (SLEEPING, OURS, *([PLAIN] if plain and not number else [])):
                found[who].append(await burst(who, env, asks=asks, patience=patience))
    name = f"{asks:,} asks of {RUN_SECONDS:.0f} s at once"
    note = "; ".join(f"{who} answered {min(burst.answered for burst in bursts):,}" for who, bursts in found.items())
    p99 = {who: [burst.p99 for burst in bursts] for who, bursts in found.items()}
    rows = [compared(f"{name}, p99", "s", p99, OURS, SLEEPING, note=note)]
    memory = {who: [burst.memory for burst in bursts if burst.memory is not None] for who, bursts in found.items()}
    if all(memory.values()):
        rows.append(compared(f"{name}, peak memory", "MiB", memory, OURS, SLEEPING))
    processor = {
        who: [burst.processor / asks * 1e3 for burst in bursts if burst.processor is not None]
        for who, bursts in found.items()
    }
    return [*rows, Row(f"{name}, processor time", "ms an ask", processor)] if all(processor.values()) else rows

"""From the spawn of a server over stdio to its tools listed: what a host waits for each time it opens."""

import time
from collections import defaultdict
from pathlib import Path

from benchmarks.children import EMPTY, OURS, environment, over_stdio, peak_memory
from benchmarks.rows import Row, compared
from benchmarks.wire import message

_NO_CONTIT = "http://127.0.0.1:9"
"""Nothing is asked before the tools are listed."""


async def cold_start(folder: Path, *, rounds: int) -> list[Row]:
    """Seconds, and the most memory until then."""
    seen = environment(_NO_CONTIT, folder)
    seconds: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for who in (EMPTY, OURS):
            began = time.perf_counter()
            async with over_stdio(who, seen) as (process, connection):
                await connection.initialize()
                await connection.exchange(message("legacy", "tools/list", {}))
                took = time.perf_counter() - began
                peak = peak_memory(process)
            if number:  # the first of each fills the caches of the disk
                seconds[who].append(took)
                if peak is not None:
                    memory[who].append(peak)
    rows = [compared("cold start", "s", seconds, OURS, EMPTY)]
    return rows + ([compared("cold start, peak memory", "MiB", memory, OURS, EMPTY)] if memory else [])

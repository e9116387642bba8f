"""The time from the spawn of a server over stdio until its tools are listed."""

import time
from collections import defaultdict
from pathlib import Path

from benchmarks.children import EMPTY, OURS, environment, over_stdio
from benchmarks.report import Row, compared
from benchmarks.wire import message

_NO_CONTIT = "http://127.0.0.1:9"
"""No request is sent before the tools are listed."""


async def cold_start(folder: Path, *, rounds: int) -> list[Row]:
    """Return the seconds, with a ratio to the SDK's empty server."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for who in (EMPTY, OURS):
            began = time.perf_counter()
            async with over_stdio(who, environment(_NO_CONTIT, folder)) as (_, connection):
                await connection.initialize()
                await connection.exchange(message("legacy", "tools/list", {}))
                took = time.perf_counter() - began
            if number:  # the first round fills the caches of the disk
                seconds[who].append(took)
    return [compared("cold start", "s", seconds, OURS, EMPTY)]

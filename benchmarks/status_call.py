"""One `contit_status` of a run that goes on: one by one and several at once, over both transports, in both eras."""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.children import EMPTY, OURS, PLAIN, environment, local_contit, over_http, over_stdio
from benchmarks.rows import Row, above_the_floor
from benchmarks.wire import ERAS, HttpConnection, http_request, ids_in, tool_call

AT_ONCE = 32
"""Enough for any queue within a server to show."""

QUESTION = {"prompt": "How many drafts are there?"}

SOME_RUN = {"thread_id": "t-1", "run_id": "9999999999-1"}
"""One that does not end; the servers that remember nothing ask about it."""

_CONTENDERS = (EMPTY, PLAIN, OURS)
_ROUND_SECONDS = 120.0
"""After which something hangs."""

Exchange = Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def stdio_exchanges(who: str, seen: dict[str, str], era: str) -> AsyncIterator[list[Exchange]]:
    """As many ways to make a call at once as wanted: over stdio all take the same pipe."""
    async with over_stdio(who, seen) as (_, connection):
        if era == "legacy":
            await connection.initialize()
        run = SOME_RUN
        if who == OURS:
            run = ids_in(await connection.exchange(tool_call(era, "contit_start", QUESTION)))
        request = tool_call(era, "contit_status", run)
        yield [lambda: connection.exchange(request)] * AT_ONCE


@asynccontextmanager
async def http_exchanges(who: str, seen: dict[str, str], era: str) -> AsyncIterator[list[Exchange]]:
    """Each over a connection of its own."""
    async with over_http(who, seen) as (_, port):
        connections = [await HttpConnection.open(port) for _ in range(AT_ONCE)]
        run = SOME_RUN
        if who == OURS:
            run = ids_in(await connections[0].exchange(http_request(port, era, "contit_start", QUESTION)))
        request = http_request(port, era, "contit_status", run)

        def over(connection: HttpConnection) -> Exchange:
            return lambda: connection.exchange(request)

        yield [over(connection) for connection in connections]
        for connection in connections:
            connection.close()


async def one_by_one(exchange: Exchange, calls: int) -> float:
    """The median milliseconds of a call."""
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        await exchange()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


async def at_once(exchanges: list[Exchange], calls: int) -> float:
    """Milliseconds per call, while as many as there are exchanges are under way."""
    left = calls

    async def go_on(exchange: Exchange) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await exchange()

    began = time.perf_counter()
    await asyncio.gather(*(go_on(exchange) for exchange in exchanges))
    return (time.perf_counter() - began) / calls * 1e3


async def status_calls(folder: Path, *, rounds: int, calls: int, **settings: str) -> list[Row]:
    """Milliseconds a call, for each transport and era."""
    rows = []
    async with local_contit(run_seconds=1e9) as contit:
        seen = environment(contit, folder, **settings)
        for transport, opened in (("stdio", stdio_exchanges), ("HTTP", http_exchanges)):
            for era in ERAS:
                rows += await _rounds(f"{transport}, {era}", opened, seen, era, rounds=rounds, calls=calls)
    return rows


async def _rounds(name: str, opened: Any, seen: dict[str, str], era: str, *, rounds: int, calls: int) -> list[Row]:
    single: dict[str, list[float]] = defaultdict(list)
    several: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        open_ones = {who: await stack.enter_async_context(opened(who, seen, era)) for who in _CONTENDERS}
        for exchanges in open_ones.values():  # first calls open connections, and import what they need
            await at_once(exchanges, 4 * AT_ONCE)
        for _ in range(rounds):
            async with asyncio.timeout(_ROUND_SECONDS):
                for who, exchanges in open_ones.items():
                    single[who].append(await one_by_one(exchanges[0], calls))
                for who, exchanges in open_ones.items():
                    several[who].append(await at_once(exchanges, 2 * calls))
    parts = {"ours": OURS, "other": PLAIN, "floor": EMPTY}
    return [
        above_the_floor(f"contit_status over {name}", "ms", single, **parts),
        above_the_floor(f"contit_status over {name}, {AT_ONCE} at once", "ms", several, **parts),
    ]

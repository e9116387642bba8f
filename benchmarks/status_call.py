"""The time of one `contit_status` of a run in flight, over both transports and in both eras of the protocol."""

import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

from benchmarks.children import EMPTY, OURS, PLAIN, environment, local_contit, over_http, over_stdio
from benchmarks.report import Row, above_the_floor
from benchmarks.wire import ERAS, HttpConnection, http_request, ids_in, tool_call

QUESTION = {"prompt": "How many drafts are there?"}

SOME_RUN = {"thread_id": "t-1", "run_id": "9999999999-1"}
"""A run that does not end. The other servers have no store and ask about any run."""

_CONTENDERS = (EMPTY, PLAIN, OURS)
_WARM_UP = 100

Exchange = Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def exchange_over(transport: str, who: str, env: dict[str, str], era: str) -> AsyncIterator[Exchange]:
    """Yield a function that makes one call."""
    async with AsyncExitStack() as stack:
        if transport == "stdio":
            _, pipe = await stack.enter_async_context(over_stdio(who, env))
            if era == "legacy":
                await pipe.initialize()

            async def call(tool: str, arguments: dict[str, str]) -> bytes:
                return await pipe.exchange(tool_call(era, tool, arguments))
        else:
            _, port = await stack.enter_async_context(over_http(who, env))
            connection = stack.enter_context(closing(await HttpConnection.open(port)))

            async def call(tool: str, arguments: dict[str, str]) -> bytes:
                return await connection.exchange(http_request(port, era, tool, arguments))

        run = ids_in(await call("contit_start", QUESTION)) if who == OURS else SOME_RUN
        yield lambda: call("contit_status", run)


async def one_by_one(exchange: Exchange, calls: int) -> float:
    """Return the median milliseconds of a call."""
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        await exchange()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


async def status_calls(folder: Path, *, rounds: int, calls: int) -> list[Row]:
    """Return the milliseconds of a call, for each transport and era."""
    async with local_contit(run_seconds=1e9) as contit:
        env = environment(contit, folder)
        return [
            await _measured(transport, env, era, rounds=rounds, calls=calls)
            for transport in ("stdio", "HTTP")
            for era in ERAS
        ]


async def _measured(transport: str, env: dict[str, str], era: str, *, rounds: int, calls: int) -> Row:
    took: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        exchanges = {
            who: await stack.enter_async_context(exchange_over(transport, who, env, era)) for who in _CONTENDERS
        }
        for exchange in exchanges.values():  # the first calls open connections and import modules
            await one_by_one(exchange, _WARM_UP)
        for _ in range(rounds):
            for who, exchange in exchanges.items():
                took[who].append(await one_by_one(exchange, calls))
    return above_the_floor(f"contit_status over {transport}, {era}", "ms", took, ours=OURS, other=PLAIN, floor=EMPTY)

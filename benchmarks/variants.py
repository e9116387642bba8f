"""What an operator's choices cost: the log, the store, a second process. `contit_status` a second over HTTP."""

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.children import OURS, environment, local_contit, over_http
from benchmarks.rows import Row
from benchmarks.status_call import AT_ONCE, QUESTION
from benchmarks.stores import local_redis
from benchmarks.wire import HttpConnection, http_request, ids_in

_AS_SHIPPED = "as shipped"


async def calls_a_second(ports: list[int], calls: int) -> float:
    """The rate at which processes answer, each over connections of its own."""
    exchanges = []
    for port in ports:
        connections = [await HttpConnection.open(port) for _ in range(AT_ONCE // len(ports))]
        run = ids_in(await connections[0].exchange(http_request(port, "legacy", "contit_start", QUESTION)))
        request = http_request(port, "legacy", "contit_status", run)
        exchanges += [(connection, request) for connection in connections]
    left = calls

    async def go_on(connection: HttpConnection, request: bytes) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await connection.exchange(request)

    began = time.perf_counter()
    await asyncio.gather(*(go_on(*exchange) for exchange in exchanges))
    seconds = time.perf_counter() - began
    for connection, _ in exchanges:
        connection.close()
    return calls / seconds


async def variants(folder: Path, *, rounds: int, calls: int) -> list[Row]:
    """Each variant beside the server as it is shipped."""
    rates: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        contit = await stack.enter_async_context(local_contit(run_seconds=1e9))
        redis_url = await stack.enter_async_context(local_redis(folder))

        async def started(name: str, count: int = 1, **settings: str) -> tuple[str, list[int]]:
            state = folder / name.replace(" ", "-")
            state.mkdir()
            seen = environment(contit, state, **settings)
            opened = [await stack.enter_async_context(over_http(OURS, seen)) for _ in range(count)]
            return name, [port for _, port in opened]

        servers = dict(
            [
                await started(_AS_SHIPPED),
                await started("log at WARNING", CONTIT_MCP_LOG_LEVEL="WARNING"),
                await started("store: memory", CONTIT_MCP_STORE="memory"),
                *(
                    [await started("store: Redis", CONTIT_MCP_STORE=redis_url, CONTIT_MCP_SEAL_KEY="k" * 32)]
                    if redis_url
                    else []
                ),
                await started("2 processes", 2),
            ]
        )
        for ports in servers.values():
            await calls_a_second(ports, 4 * AT_ONCE)
        for _ in range(rounds):
            for name, ports in servers.items():
                rates[name].append(await calls_a_second(ports, calls))
    rows = []
    for name, values in rates.items():
        if name != _AS_SHIPPED:
            ratios = [a / b for a, b in zip(values, rates[_AS_SHIPPED], strict=True)]
            both = {_AS_SHIPPED: rates[_AS_SHIPPED], name: values}
            rows.append(Row(f"calls a second: {name}", "/s", both, ratios, f"{name} / {_AS_SHIPPED}"))
    return rows

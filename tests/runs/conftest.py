"""What the tests of stores share."""

from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest
import redis.asyncio

from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.redis import RedisRunStore
from contit_mcp.runs.store import RetentionPolicy, RunStore
from tests.durability.world import RETENTION, World
from tests.redis_server import RedisServer
from tests.runs.steps import OPENED, Clock, NewStore
from tests.stage import wall_clock


@pytest.fixture
def world() -> Iterator[World]:
    """Two processes that can be killed, each with its memory, and the store that they share."""
    store = MemoryRunStore(retention=RETENTION, now=wall_clock)
    world = World(lambda: store)
    world.contit.lasts = 20.0
    yield world
    world.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(new_store: NewStore, clock: Clock) -> RunStore:
    return new_store(RetentionPolicy(), clock)


@pytest.fixture
async def new_redis_store(session_redis: RedisServer) -> AsyncIterator[NewStore]:
    """Stores on one server, which is emptied at the end of the test."""
    opened: list[RedisRunStore] = []

    def new(retention: RetentionPolicy, now: Callable[[], float]) -> RedisRunStore:
        opened.append(RedisRunStore(session_redis.url, retention=retention, now=now))
        return opened[-1]

    yield new
    for store in opened:
        await store.aclose()
    async with redis.asyncio.Redis.from_url(session_redis.url) as client:
        await client.flushall()


@pytest.fixture(autouse=True)
def _close_sqlite_stores() -> Iterator[None]:
    yield
    while OPENED:
        anyio.run(OPENED.pop().aclose)

"""The store on a real Redis server: the contract, and what is particular to servers."""

from collections.abc import AsyncIterator

import anyio
import pytest
import redis.asyncio

from contit_mcp.errors import ConfigurationError, StoreError
from contit_mcp.runs.claims import Granted, Joined
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.redis import RedisRunStore
from contit_mcp.runs.store import RetentionPolicy
from tests.redis_server import RedisServer, own_redis, session_redis
from tests.runs import contract
from tests.runs.contract import *  # noqa: F403 - the contract's tests are this module's
from tests.runs.contract import T0, NewStore, begin, follow_up, opening

__all__ = ["own_redis", "session_redis"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """A server needs real time."""
    return "asyncio"


@pytest.fixture
async def stores(session_redis: RedisServer) -> AsyncIterator[list[RedisRunStore]]:
    """The stores that a test makes; closed at its end, and the server emptied."""
    made: list[RedisRunStore] = []
    yield made
    for store in made:
        await store.aclose()
    async with redis.asyncio.Redis.from_url(session_redis.url) as client:
        await client.flushall()


@pytest.fixture
async def new_store(session_redis: RedisServer, stores: list[RedisRunStore]) -> NewStore:
    """Stores on one server."""

    def new(retention: RetentionPolicy) -> RedisRunStore:
        stores.append(RedisRunStore(session_redis.url, retention=retention))
        return stores[-1]

    return new


def test_the_whole_contract_is_run_here() -> None:
    """A star import that loses tests would go unseen."""
    assert {name for name in vars(contract) if name.startswith("test_")} <= set(globals())


async def test_two_replicas_share_what_they_know(new_store: NewStore) -> None:
    """One's run is the other's too, with every field."""
    here, there = (RunLedger(new_store(RetentionPolicy())) for _ in range(2))
    run = await begin(here, opening("q"), "r")
    assert await there.claim(opening("q"), now=T0) == Joined(run)
    ended = await there.completed(run, "è ✓", now=T0 + 1.5)
    assert await here.find("owner", "t", "r", now=T0 + 2) == ended


async def test_every_key_expires_and_none_holds_a_prompt(new_store: NewStore, session_redis: RedisServer) -> None:
    """Whoever stops using it leaves nothing behind."""
    ledger = RunLedger(new_store(RetentionPolicy(record=100, answer=10)))
    await ledger.completed(await begin(ledger, opening("MARKER"), "r"), "a", now=T0)
    await ledger.claim(follow_up("MARKER 2"), now=T0 + 1)
    async with redis.asyncio.Redis.from_url(session_redis.url, decode_responses=True) as client:
        keys = [key async for key in client.scan_iter()]
        assert len(keys) == 6
        assert all(key.startswith("contit-mcp:{") for key in keys)
        assert not any("MARKER" in key or "owner" in key for key in keys)
        lives = {key: await client.ttl(key) for key in keys}
    assert all(0 < life <= 100 for life in lives.values())
    assert [life for key, life in lives.items() if '"answer"' in key] == [pytest.approx(10, abs=1)]


async def test_ids_are_opaque_to_it(new_store: NewStore) -> None:
    """Colons, quotes and braces in them do not run into each other (assumed: ids can be anything)."""
    ledger = RunLedger(new_store(RetentionPolicy()))
    run = await begin(ledger, opening("q"), 'b":"c', thread_id="a")
    other = await begin(ledger, opening("z"), "c", thread_id='a":"b')
    assert await ledger.find("owner", "a", 'b":"c', now=T0) == run
    assert await ledger.find("owner", 'a":"b', "c", now=T0) == other


async def test_a_server_that_is_gone_is_an_error_in_time_and_works_again(own_redis: RedisServer) -> None:
    """Without the password in it."""
    store = RedisRunStore(own_redis.url)
    ledger = RunLedger(store)
    assert isinstance(await ledger.claim(opening("q"), now=T0), Granted)
    own_redis.stop()
    with pytest.raises(StoreError, match="cannot be used") as caught:
        await ledger.claim(opening("z"), now=T0)
    assert own_redis.password not in str(caught.value) + caught.value.hint
    own_redis.start()
    assert isinstance(await ledger.claim(opening("z"), now=T0), Granted)
    await store.aclose()


async def test_a_burst_waits_for_a_connection_instead_of_failing(new_store: NewStore) -> None:
    """200 asks at once are one busy moment, no store that is down."""
    store = RunLedger(new_store(RetentionPolicy()))
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(begin, store, opening(f"q{number}"), f"r{number}")


async def test_a_wrong_password_is_an_error(session_redis: RedisServer) -> None:
    """In one line."""
    store = RedisRunStore(session_redis.url.replace(session_redis.password, "WRONG-MARKER"))
    with pytest.raises(StoreError, match="AuthenticationError") as caught:
        await store.latest("owner", "t", now=T0)
    assert "MARKER" not in str(caught.value) + caught.value.hint
    await store.aclose()


async def test_what_others_wrote_there_is_an_error_and_not_a_crash(
    new_store: NewStore, session_redis: RedisServer
) -> None:
    """Another version, or another program."""
    ledger = RunLedger(new_store(RetentionPolicy()))
    run = await begin(ledger, opening("q"), "r")
    async with redis.asyncio.Redis.from_url(session_redis.url, decode_responses=True) as client:
        for key in [key async for key in client.scan_iter("*run*")]:
            await client.set(key, '{"strange": 1}')
    with pytest.raises(StoreError):
        await ledger.find("owner", "t", "r", now=T0)
    with pytest.raises(StoreError):
        await ledger.completed(run, "a", now=T0)


def test_a_url_that_cannot_be_used_is_an_error_without_its_password() -> None:
    """At the start."""
    with pytest.raises(ConfigurationError) as caught:
        RedisRunStore("redis://:MARKER@localhost:6379/0?socket_timeout=MARKER")
    assert "MARKER" not in str(caught.value) + caught.value.hint

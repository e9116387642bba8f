"""The store on a real Redis server: its keys, unreadable records, and a server that is demoted or stopped."""

import io

import pytest
import redis.asyncio

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Granted
from contit_mcp.runs.redis import RedisRunStore
from contit_mcp.runs.store import RetentionPolicy, RunStore
from tests.children import anyio_backend
from tests.redis_server import RedisServer, own_redis, session_redis
from tests.runs.steps import Clock, NewStore, begin, check_a_spoilt_record, claim, complete, follow_up, opening

__all__ = ["anyio_backend", "own_redis", "session_redis"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def new_store(new_redis_store: NewStore) -> NewStore:
    return new_redis_store


async def test_every_key_has_the_schema_version_and_expires_and_none_holds_a_prompt(
    new_store: NewStore, clock: Clock, session_redis: RedisServer
) -> None:
    store = new_store(RetentionPolicy(record=100, answer=10), clock)
    await complete(store, await begin(store, opening("MARKER"), "r"), "a")
    await claim(store, follow_up("MARKER 2"))
    async with redis.asyncio.Redis.from_url(session_redis.url, decode_responses=True) as client:
        keys = [key async for key in client.scan_iter()]
        assert len(keys) == 7
        assert all(key.startswith("contit-mcp:v4:{") for key in keys)
        assert not any("MARKER" in key or "owner" in key for key in keys)
        lives = {key: await client.ttl(key) for key in keys}
    assert all(0 < life <= 101 for life in lives.values())
    assert [life for key, life in lives.items() if '"answer"' in key] == [pytest.approx(10, abs=1)]


async def test_ids_can_contain_what_separates_the_parts_of_a_key(store: RunStore) -> None:
    run = await begin(store, opening("q"), 'b":"c', thread_id="a")
    other = await begin(store, opening("z"), "c", thread_id='a":"b')
    assert await store.find("owner", "a", 'b":"c') == run
    assert await store.find("owner", 'a":"b', "c") == other


async def test_a_demoted_server_is_left_and_one_that_comes_back_is_used_again(own_redis: RedisServer) -> None:
    """A demoted server keeps its connections; new ones to the same address can lead to the new primary."""
    store = RedisRunStore(own_redis.url)
    async with redis.asyncio.Redis.from_url(own_redis.url) as operator:

        async def connections() -> set[str]:
            return {client["id"] for client in await operator.client_list()} - {str(await operator.client_id())}

        await begin(store, opening("q"), "r")
        before = await connections()
        await operator.replicaof("127.0.0.1", "1")
        with pytest.raises(StoreError, match="ReadOnlyError"):
            await claim(store, opening("z"))
        await operator.replicaof("NO", "ONE")
        assert isinstance(await claim(store, opening("z")), Granted)
        assert before
        assert before.isdisjoint(await connections())
    own_redis.stop()
    with pytest.raises(StoreError, match="cannot be used"):
        await claim(store, opening("y"))
    own_redis.start()
    assert isinstance(await claim(store, opening("y")), Granted)
    await store.aclose()


@pytest.mark.parametrize("text", ['{"strange": 1}', "", b"\xff\xfe\x00", "[" * 100_000], ids=range(4))
async def test_an_unreadable_record_counts_as_missing_and_is_logged_with_its_key(
    store: RunStore, session_redis: RedisServer, logged: io.StringIO, text: str | bytes
) -> None:
    async def spoil(key: str) -> None:
        async with redis.asyncio.Redis.from_url(session_redis.url, decode_responses=True) as client:
            (place,) = [each async for each in client.scan_iter(f"*{key}*") if '"run"' in each]
            await client.set(place, text)

    await check_a_spoilt_record(store, spoil, logged)

"""The store on a real Redis server: the contract, and what is particular to servers."""

import io
from contextlib import suppress

import anyio
import pytest
import redis.asyncio

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Granted
from contit_mcp.runs.redis import RedisRunStore
from contit_mcp.runs.store import RetentionPolicy, RunStore
from tests.children import anyio_backend
from tests.redis_server import RedisServer, own_redis, redis_server, session_redis
from tests.runs.steps import Clock, NewStore, begin, claim, complete, follow_up, one_record_spoilt, opening

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


async def test_ids_are_opaque_to_it(store: RunStore) -> None:
    """Colons, quotes and braces in them do not run into each other (assumed: ids can be anything)."""
    run = await begin(store, opening("q"), 'b":"c', thread_id="a")
    other = await begin(store, opening("z"), "c", thread_id='a":"b')
    assert await store.find("owner", "a", 'b":"c') == run
    assert await store.find("owner", 'a":"b', "c") == other


async def test_a_server_that_is_gone_or_refuses_is_an_error_without_the_password(own_redis: RedisServer) -> None:
    store, refused = RedisRunStore(own_redis.url), RedisRunStore(own_redis.url.replace("pass-word", "WRONG-MARKER"))
    assert isinstance(await claim(store, opening("q")), Granted)
    own_redis.stop()
    with pytest.raises(StoreError, match="cannot be used") as gone:
        await claim(store, opening("z"))
    own_redis.start()
    assert isinstance(await claim(store, opening("z")), Granted)
    with pytest.raises(StoreError, match="AuthenticationError") as wrong:
        await refused.find("owner", "t")
    texts = [text for caught in (gone, wrong) for text in (caught.value.message, caught.value.hint)]
    assert not any(word in text for text in texts for word in ("pass-word", "MARKER"))
    for each in (store, refused):
        await each.aclose()


async def test_after_a_readonly_answer_new_connections_are_used(tmp_path_factory: pytest.TempPathFactory) -> None:
    with redis_server(tmp_path_factory.mktemp("old")) as old, redis_server(tmp_path_factory.mktemp("new")) as new:
        target = [old.port]

        async def relay(near: anyio.abc.SocketStream) -> None:
            """New connections lead to the target; open ones stay where they are."""
            async with near, await anyio.connect_tcp("127.0.0.1", target[0]) as far, anyio.create_task_group() as both:
                both.start_soon(copy, near, far)
                await copy(far, near)
                both.cancel_scope.cancel()

        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as address,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(address.serve, relay)
            port = address.extra(anyio.abc.SocketAttribute.local_port)
            store = RedisRunStore(old.url.replace(str(old.port), str(port)))
            await begin(store, opening("q"), "r")
            async with redis.asyncio.Redis.from_url(old.url) as client:
                await client.replicaof("127.0.0.1", new.port)
            target[0] = new.port
            with pytest.raises(StoreError, match="ReadOnlyError"):
                await claim(store, opening("z"))
            assert isinstance(await claim(store, opening("z")), Granted)
            async with redis.asyncio.Redis.from_url(new.url) as client:
                assert await client.dbsize() > 0
            await store.aclose()
            tasks.cancel_scope.cancel()


async def copy(source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for data in source:
            await sink.send(data)


async def test_a_burst_waits_for_a_connection_instead_of_failing(store: RunStore) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(begin, store, opening(f"q{number}"), f"r{number}")


@pytest.mark.parametrize("text", ['{"strange": 1}', "no JSON", "", "[]", b"\xff\xfe\x00", "[" * 100_000], ids=range(6))
async def test_an_unreadable_record_counts_as_missing_and_is_logged_with_its_key(
    store: RunStore, session_redis: RedisServer, logged: io.StringIO, text: str | bytes
) -> None:
    async def spoil(key: str) -> None:
        async with redis.asyncio.Redis.from_url(session_redis.url, decode_responses=True) as client:
            (place,) = [each async for each in client.scan_iter(f"*{key}*") if '"run"' in each]
            await client.set(place, text)

    await one_record_spoilt(store, spoil, logged)

"""Runs kept in Redis or Valkey, shared by replicas."""

import hashlib
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Slot, slots_of
from contit_mcp.runs.record import SCHEMA_VERSION, RunRecord
from contit_mcp.runs.store import MOST_RECENT, RetentionPolicy, RunStore, Update

T = TypeVar("T")
_Client = redis.asyncio.Redis | Pipeline

_TIMEOUT_SECONDS = 5.0  # longer than the 2 s of `fallback`: a process that is late itself must not time out here
_CONNECTIONS = 50  # at once; further operations wait for one
_NEWEST_KEPT = 20  # runs of a thread that are found by age; older ones are found by their ids


class RedisRunStore(RunStore):
    """A `RunStore` on a Redis server.

    The rules run in Python: an operation watches (`WATCH`) the keys that it reads, and writes only if none has changed.
    Keys of one owner share a hash slot, so that a cluster accepts them too. All keys expire.
    """

    def __init__(
        self, url: str, *, retention: RetentionPolicy | None = None, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(retention, now)
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
            health_check_interval=30,
            max_connections=_CONNECTIONS,
            timeout=None,
        )
        self._redis = redis.asyncio.Redis.from_pool(pool)

    async def _update(self, slot: Slot, update: Update[T]) -> T:
        async def work(pipe: Pipeline) -> T:
            now = self.now()
            result, forgotten, kept = update(await self._newest(pipe, slot, now), now)
            pipe.multi()  # type: ignore[no-untyped-call]
            if forgotten is not None:
                _drop(pipe, forgotten)
            if kept is not None:
                self._put(pipe, kept, now)
            return result

        # `transaction` repeats it until no watched key has changed.
        return await self._guarded(lambda: self._redis.transaction(work, value_from_callable=True))

    async def find(self, owner: str, thread_id: str, run_id: str | None = None) -> RunRecord | None:
        """Return the run with these ids, or the newest one on the thread whose ids are known."""

        async def find() -> RunRecord | None:
            if run_id is None:
                return await self._newest(self._redis, (owner, "thread_id", thread_id), self.now(), started=True)
            key = await self._redis.get(_key(owner, "ids", thread_id, run_id))
            return None if key is None else await self._read(self._redis, owner, str(key), self.now())

        return await self._guarded(find)

    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, without answers."""

        async def recent() -> list[RunRecord]:
            most = max(0, min(limit, MOST_RECENT))
            keys = (await self._redis.zrange(_key(owner, "recent"), 0, MOST_RECENT - 1, desc=True))[:most]
            if not keys:
                return []
            texts = await self._redis.mget([_key(owner, "run", str(key)) for key in keys])
            pairs = [(str(key), text) for key, text in zip(keys, texts, strict=True) if text is not None]
            records = [self._retention.read(key, text, None, now=self.now()) for key, text in pairs]
            return [record for record in records if record is not None]

        return await self._guarded(recent)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._guarded(self._redis.aclose)

    async def _newest(self, client: _Client, slot: Slot, now: float, *, started: bool = False) -> RunRecord | None:
        owner, kind, value = slot
        if kind == "key":
            return await self._read(client, owner, value, now)
        if isinstance(client, Pipeline):
            await client.watch(_key(*slot))
        for key in await client.zrange(_key(*slot), 0, _NEWEST_KEPT, desc=True):
            record = await self._read(client, owner, str(key), now)
            if record is not None and (record.run_id is not None or not started):
                return record
        return None

    async def _read(self, client: _Client, owner: str, key: str, now: float) -> RunRecord | None:
        if isinstance(client, Pipeline):
            await client.watch(_key(owner, "run", key))
        text, answer = await client.mget(_key(owner, "run", key), _key(owner, "answer", key))
        return None if text is None else self._retention.read(key, text, answer, now=now)

    def _put(self, pipe: Pipeline, record: RunRecord, now: float) -> None:
        owner, key = record.question.owner, record.key
        seconds_left = max(1, math.ceil(record.asked_at + self._retention.record - now))
        pipe.set(_key(owner, "run", key), record.to_json(), ex=seconds_left)
        if record.answer is not None and record.ended_at is not None:
            answer_seconds_left = math.ceil(record.ended_at + self._retention.answer - now)
            if answer_seconds_left > 0 and self._retention.answer > 0:
                pipe.set(_key(owner, "answer", key), record.answer, ex=answer_seconds_left)
        indexes = [(_key(*slot), _NEWEST_KEPT) for slot in slots_of(record)]
        if record.run_id is not None:
            pipe.set(_key(owner, "ids", *record.ids), key, ex=seconds_left)
            indexes.append((_key(owner, "recent"), MOST_RECENT))
        for index, most in indexes:
            pipe.zadd(index, {key: record.asked_at})
            pipe.zremrangebyrank(index, 0, -most - 1)
            pipe.expire(index, math.ceil(self._retention.record))

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except (RedisError, OSError) as exc:
            if isinstance(exc, ReadOnlyError):
                # The server was demoted to a replica. New connections reach the new primary, so the idle ones are
                # closed. Those in use are not: their operations get the same error, and then come here themselves.
                await self._redis.connection_pool.disconnect(inuse_connections=False)
            # redis-py's texts can quote the address, and what was read.
            raise StoreError(
                f"The Redis store cannot be used ({type(exc).__name__}).",
                hint="Check that the server of CONTIT_MCP_STORE runs, accepts the password, and has memory left.",
            ) from exc


def _drop(pipe: Pipeline, record: RunRecord) -> None:
    owner, key = record.question.owner, record.key
    pipe.delete(_key(owner, "run", key), _key(owner, "answer", key))
    for slot in slots_of(record):
        pipe.zrem(_key(*slot), key)


def _key(owner: str, *parts: str) -> str:
    """Return a key. Owners and ids are opaque: they are hashed or quoted. The braces mark the hash slot."""
    owner_hash = hashlib.sha256(owner.encode()).hexdigest()[:24]
    return f"contit-mcp:v{SCHEMA_VERSION}:{{{owner_hash}}}:{':'.join(json.dumps(part) for part in parts)}"

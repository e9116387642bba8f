"""Runs kept in Redis or Valkey, shared by replicas."""

import hashlib
import json
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, WatchError  # noqa: A004 - its name

from contit_mcp.errors import ConfigurationError, StoreError
from contit_mcp.runs.claims import Claim, Granted, ReplayPolicy, decide
from contit_mcp.runs.flat import from_flat, to_flat
from contit_mcp.runs.record import Phase, Question, RunRecord
from contit_mcp.runs.store import Change, RetentionPolicy, StoreGoneError

T = TypeVar("T")
_Client = redis.asyncio.Redis | Pipeline

_TIMEOUT_SECONDS = 5.0
"""Longer than `resilient` waits, which knows when it is this process that is late."""

_ATTEMPTS = 30
CONNECTIONS = 50
"""Open at once; what comes beyond waits for one."""

_NEWEST_KEPT = 20
"""Runs of a thread by age; older ones are found by their ids."""


class RedisRunStore:
    """A `RunStore` on a Redis server.

    The rules are Python's: what is read is watched, and written only if nobody changed it meanwhile. Keys of one
    owner share a hash slot, so that a cluster would take them too. Everything expires by itself.

    Args:
        url: `redis://` or `rediss://` (TLS), with user and password where needed.
        retention: How long runs and answers are kept.
        replay: When an answer is given again.

    Raises:
        ConfigurationError: The URL cannot be used.
    """

    def __init__(
        self, url: str, *, retention: RetentionPolicy | None = None, replay: ReplayPolicy | None = None
    ) -> None:
        self._retention = retention or RetentionPolicy()
        self._replay = replay or ReplayPolicy()
        try:
            pool = redis.asyncio.BlockingConnectionPool.from_url(
                url,
                decode_responses=True,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                health_check_interval=30,
                max_connections=CONNECTIONS,
                timeout=None,
            )
            self._redis = redis.asyncio.Redis.from_pool(pool)
        except (ValueError, RedisError):
            problem = "The URL of the Redis store cannot be used."
        else:
            return
        # Not chained: the cause can quote the URL, which may hold a password.
        raise ConfigurationError(problem, hint="CONTIT_MCP_STORE looks like redis://localhost:6379/0.")

    async def claim(self, intent: RunRecord, *, now: float) -> Claim:
        """Keep the intent to start, or return the run that stands in its way."""
        question = intent.question
        slot = _slot_of(question)

        async def claim(pipe: Pipeline) -> Claim:
            await pipe.watch(slot)
            latest = await self._newest(pipe, question.owner, slot, now, started=False)
            claim = decide(intent, latest, now=now, policy=self._replay)
            if isinstance(claim, Granted):
                pipe.multi()  # type: ignore[no-untyped-call]
                if latest is not None and claim.interrupted:
                    self._drop(pipe, latest)
                self._put(pipe, claim.record, now)
            return claim

        return await self._transact(claim)

    async def change(self, record: RunRecord, change: Change, *, now: float) -> RunRecord:
        """Change what is kept of a run, and return it as it is then."""

        async def apply(pipe: Pipeline) -> RunRecord:
            before = await self._read(pipe, record.question.owner, record.key, now)
            after = change(before or record)
            if after != before and (before is not None or after.remembered):
                pipe.multi()  # type: ignore[no-untyped-call]
                if before is not None and _slots(before) != _slots(after):
                    self._drop(pipe, before)
                self._put(pipe, after, now, found_already=before is not None and _places(before) == _places(after))
            return after

        return await self._transact(apply)

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that came to nothing."""

        async def release(pipe: Pipeline) -> None:
            kept = await self._read(pipe, intent.question.owner, intent.key, intent.asked_at)
            if kept is not None and kept.phase is Phase.STARTING:
                pipe.multi()  # type: ignore[no-untyped-call]
                self._drop(pipe, kept)

        await self._transact(release)

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids."""

        async def find() -> RunRecord | None:
            key = await self._redis.get(_key(owner, "ids", thread_id, run_id))
            return None if key is None else await self._read(self._redis, owner, str(key), now)

        return await _guarded(find)

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        slot = _key(owner, "thread", thread_id)
        return await _guarded(lambda: self._newest(self._redis, owner, slot, now, started=True))

    async def aclose(self) -> None:
        """Close the connections."""
        await _guarded(self._redis.aclose)

    async def _newest(self, client: _Client, owner: str, slot: str, now: float, *, started: bool) -> RunRecord | None:
        for key in await client.zrange(slot, 0, _NEWEST_KEPT, desc=True):
            record = await self._read(client, owner, str(key), now)
            if record is not None and (record.thread_id is not None or not started):
                return record
        return None

    async def _read(self, client: _Client, owner: str, key: str, now: float) -> RunRecord | None:
        if isinstance(client, Pipeline):
            await client.watch(_key(owner, "run", key))
        text, answer = await client.mget(_key(owner, "run", key), _key(owner, "answer", key))
        if text is None:
            return None
        return self._retention.kept(from_flat(json.loads(text) | {"answer": answer}), now=now)

    def _put(self, pipe: Pipeline, record: RunRecord, now: float, *, found_already: bool = False) -> None:
        """Write it, and where it is looked for unless it is there: most changes are of a run that stays where it is."""
        owner, key = record.question.owner, record.key
        left = max(1, math.ceil(record.asked_at + self._retention.record - now))
        flat = to_flat(record)
        answer = flat.pop("answer")
        pipe.set(_key(owner, "run", key), json.dumps(flat), ex=left)
        if answer is not None and record.ended_at is not None:
            answer_left = math.ceil(record.ended_at + self._retention.answer - now)
            if answer_left > 0 and self._retention.answer > 0:
                pipe.set(_key(owner, "answer", key), str(answer), ex=answer_left)
        if found_already:
            return
        for slot in _slots(record):
            pipe.zadd(slot, {key: record.asked_at})
            pipe.zremrangebyrank(slot, 0, -_NEWEST_KEPT - 1)
            pipe.expire(slot, math.ceil(self._retention.record))
        if record.thread_id is not None and record.run_id is not None:
            pipe.set(_key(owner, "ids", record.thread_id, record.run_id), key, ex=left)

    @staticmethod
    def _drop(pipe: Pipeline, record: RunRecord) -> None:
        owner, key = record.question.owner, record.key
        pipe.delete(_key(owner, "run", key), _key(owner, "answer", key))
        for slot in _slots(record):
            pipe.zrem(slot, key)

    async def _transact(self, work: Callable[[Pipeline], Awaitable[T]]) -> T:
        """Do the work again until nobody changed what it read."""

        async def transact() -> T:
            for _ in range(_ATTEMPTS):
                async with self._redis.pipeline(transaction=True) as pipe:
                    try:
                        result = await work(pipe)
                        if pipe.command_stack:
                            await pipe.execute()
                    except WatchError:
                        continue
                    return result
            raise StoreError(
                "The run store changes too fast.",
                hint="Look for what else writes to keys that begin with contit-mcp.",
            )

        return await _guarded(transact)


async def _guarded(work: Callable[[], Awaitable[T]]) -> T:
    try:
        return await work()
    except (RedisError, OSError, LookupError, ValueError, TypeError) as exc:
        # The latter three: what was read is not ours. Texts of redis can quote the address, and what it read.
        gone = isinstance(exc, ConnectionError) and not isinstance(exc, AuthenticationError)
        raise (StoreGoneError if gone else StoreError)(
            f"The Redis store cannot be used ({type(exc).__name__}).",
            hint="Check that the server of CONTIT_MCP_STORE is there, takes the password, and has memory left.",
        ) from exc


def _slot_of(question: Question) -> str:
    if question.thread_id is None:
        return _key(question.owner, "opening", question.prompt_hash)
    return _key(question.owner, "thread", question.thread_id)


def _slots(record: RunRecord) -> list[str]:
    """Where a run is looked for by what it is the newest of."""
    question = record.question
    thread_id = record.thread_id or question.thread_id
    slots = [] if thread_id is None else [_key(question.owner, "thread", thread_id)]
    if question.thread_id is None:
        slots.append(_slot_of(question))
    return slots


def _places(record: RunRecord) -> tuple[list[str], str | None, str | None]:
    """Everything by which it is found."""
    return _slots(record), record.thread_id, record.run_id


def _key(owner: str, *parts: str) -> str:
    """Owners and ids are opaque, so they are hashed or quoted; the braces keep an owner's keys together."""
    mine = hashlib.sha256(owner.encode()).hexdigest()[:24]
    return f"contit-mcp:{{{mine}}}:{':'.join(json.dumps(part) for part in parts)}"

"""Count the requests of each caller per minute, in memory or in a Redis that replicas share."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:  # optional
    from redis.asyncio import Redis

log = get_logger(__name__)

POLLS_PER_REQUEST = 20  # task polls allowed for each request allowed: at 300 requests a minute, 100 polls a second
MOST_COUNTS = 20_000  # in memory, one for each caller, minute and kind of request; a further one replaces the oldest
RETRY_SECONDS = 10.0  # until a Redis that could not be used is tried again
_MINUTE = 60


class RequestRate:
    """Requests of one caller per minute, in a sliding window. While Redis cannot be used, each replica counts alone."""

    def __init__(self, per_minute: int, *, redis_url: str | None = None, now: Callable[[], float] = time.time) -> None:
        self.local_only = False  # whether there is a Redis and it cannot be used
        self._now = now
        self._per_minute = per_minute
        self._redis = _connect(redis_url) if redis_url else None
        self._redis_again_at = 0.0
        self._counts: dict[str, int] = {}

    async def seconds_to_wait(self, caller: str, *, poll: bool = False) -> int | None:
        """Count one request, unless it is over the limit; return None, or the seconds until there is room for it."""
        limit = self._per_minute * (POLLS_PER_REQUEST if poll else 1)
        minute, elapsed = divmod(self._now(), _MINUTE)
        kind = "polls" if poll else "requests"
        name, before = (f"contit-mcp-limits:{{{kind}:{caller}}}:{int(each)}" for each in (minute, minute - 1))
        seconds = None
        if self._redis is not None and time.monotonic() >= self._redis_again_at:
            seconds = await self._count_in_redis(self._redis, name, before, limit, elapsed)
        if seconds is None:
            count = self._counts.get(name, 0)
            seconds = seconds_until_room(limit, self._counts.get(before, 0), count, elapsed)
            if seconds <= 0:
                if name not in self._counts and len(self._counts) >= MOST_COUNTS:
                    del self._counts[next(iter(self._counts))]
                self._counts[name] = count + 1
        return math.ceil(seconds) if seconds > 0 else None

    async def _count_in_redis(self, redis: "Redis", name: str, before: str, limit: int, elapsed: float) -> float | None:
        from redis.exceptions import ReadOnlyError, RedisError  # noqa: PLC0415 - optional

        began = time.monotonic()
        try:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.incr(name)
                pipe.expire(name, 2 * _MINUTE)
                pipe.get(before)
                count, _, earlier = await pipe.execute()
            seconds = seconds_until_room(limit, int(earlier or 0), count - 1, elapsed)
            if seconds > 0:
                await redis.decr(name)
        except (RedisError, OSError) as exc:
            if isinstance(exc, ReadOnlyError):
                await redis.connection_pool.disconnect()  # new connections reach the new primary
            self._redis_again_at = time.monotonic() + RETRY_SECONDS
            if not self.local_only:
                self.local_only = True
                log.warning("limits.local_only", error=type(exc).__name__)
            return None
        if self.local_only and began >= self._redis_again_at:  # a count that began before the failure proves nothing
            self.local_only = False
            log.warning("limits.shared")
        return seconds


def seconds_until_room(limit: int, before: int, count: int, elapsed: float) -> float:
    """Return the seconds until one more request is within the limit; 0 or less if it is already.

    This minute began `elapsed` seconds ago and has `count` requests. The `before` requests of the last minute count in
    proportion to the part of it that the window still covers.
    """
    room = limit - 1 - count
    if room >= 0:
        return _MINUTE * (1 - room / before) - elapsed if before else 0.0
    return _MINUTE - elapsed + max(0.0, _MINUTE * (1 - (limit - 1) / count))


def _connect(url: str) -> "Redis":
    from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415 - optional
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - optional
    from redis.backoff import NoBackoff  # noqa: PLC0415 - optional

    # In a burst, requests wait for a connection: a request that got none would be counted by this replica alone.
    pool = BlockingConnectionPool.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 1), max_connections=20, timeout=1
    )
    return Redis.from_pool(pool)

"""How much each caller may ask for, and all of them together."""

import math
import time
from collections import Counter
from typing import Any

import limits
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from starlette.types import ASGIApp, Receive, Scope, Send

from contit_mcp.http.refusals import Refusal, too_many
from contit_mcp.http.requests import is_listener
from contit_mcp.server.owners import fingerprint_owner
from contit_mcp.server.request_state import Caller, request_state
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)


class RequestRate:
    """Requests of one caller in a minute, counted in memory, or in a Redis that replicas share.

    Args:
        per_minute: The limit.
        redis_url: The Redis; while it cannot be used, each replica counts for itself.
    """

    def __init__(self, per_minute: int, *, redis_url: str | None = None) -> None:
        self._limit = limits.RateLimitItemPerMinute(per_minute)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = SlidingWindowCounterRateLimiter(_redis(redis_url)) if redis_url else None
        self._shared_again_at = 0.0

    async def seconds_to_wait(self, caller: str) -> int | None:
        """Count one request; None when it is within the limit."""
        if self._shared is not None and time.monotonic() >= self._shared_again_at:
            try:
                return await self._count(self._shared, caller)
            except StorageError as exc:
                self._shared_again_at = time.monotonic() + 10.0
                log.warning("limits.redis_unusable", error=type(exc.storage_error).__name__, meanwhile="memory")
        return await self._count(self._own, caller)

    async def _count(self, limiter: SlidingWindowCounterRateLimiter, caller: str) -> int | None:
        if await limiter.hit(self._limit, "requests", caller):
            return None
        stats = await limiter.get_window_stats(self._limit, "requests", caller)
        return max(1, min(60, math.ceil(stats.reset_time - time.time())))


def _redis(url: str) -> Storage:
    from limits.aio.storage import RedisStorage  # noqa: PLC0415 - optional
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - optional

    # In a burst, requests wait for a connection: one that got none would be counted by this replica alone.
    pool: Any = BlockingConnectionPool.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, max_connections=20, timeout=1.0
    )
    return RedisStorage(
        f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix="contit-mcp-limits",
        connection_pool=pool,
    )  # fmt: skip


class Limits:
    """ASGI middleware behind the authentication: whom it lets through, it counts until the response is sent.

    Args:
        app: What is behind it.
        rate: Requests of one caller in a minute.
        per_caller: Requests of one caller at once, and as many listening streams beside them.
        at_once: Requests of all callers at once, likewise.
    """

    def __init__(self, app: ASGIApp, rate: RequestRate, *, per_caller: int, at_once: int) -> None:
        self._app = app
        self._rate = rate
        self._per_caller = per_caller
        self._at_once = at_once
        # Hosts keep a stream open all day to listen. Counted as calls, those would leave no room for any.
        self._calls: Counter[str] = Counter()
        self._listeners: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        caller = _name_of(scope)
        under_way = self._listeners if is_listener(scope) else self._calls
        if refusal := self._no_room(under_way, caller):
            await refusal.response(scope)(scope, receive, send)
            return
        under_way[caller] += 1  # before anything is awaited, or all of a burst would find the same room
        try:
            seconds = await self._rate.seconds_to_wait(caller)
            if seconds is None:
                await self._app(scope, receive, send)
            else:
                refusal = too_many(
                    "too_many_requests", f"Too many requests; go on in {seconds} s.", retry_after=seconds
                )
                await refusal.response(scope)(scope, receive, send)
        finally:
            under_way[caller] -= 1
            if not under_way[caller]:
                del under_way[caller]

    def _no_room(self, under_way: Counter[str], caller: str) -> Refusal | None:
        if under_way.total() >= self._at_once:
            return too_many("overloaded", "This server has all the work it can do.", status=503, retry_after=2)
        if under_way[caller] >= self._per_caller:
            return too_many("too_many_calls", "Too many of your calls are under way; wait for some.", retry_after=5)
        return None


def _name_of(scope: Scope) -> str:
    """What tells callers apart, never a credential itself."""
    caller = request_state(scope).caller or Caller()
    if caller.principal is not None:
        return caller.principal
    if caller.credential is not None:
        return fingerprint_owner(caller.credential.identity(), "")
    return "everyone"

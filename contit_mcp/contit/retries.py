"""Repeat failed requests, and slow polls and starts down while Contit is overloaded or cannot be reached."""

import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from contit_mcp.contit.wire import later_hint
from contit_mcp.errors import APIConnectionError, APIError, APIStatusError, RateLimitError
from contit_mcp.telemetry.call_stats import current_call_stats
from contit_mcp.telemetry.logging import get_logger

T = TypeVar("T")
_draw = random.random  # from 0 to 1, for jitter
log = get_logger(__name__)

_MOST_STRETCH = 4.0
_MOST_PASSING = 2  # 5xx and broken connections in a row that count as a passing fault
_SETTLE_SECONDS = 10.0
_FORGET_SECONDS = 60.0


class Backoff:
    """Slows all polls and starts of one client down, up to fourfold, and lets them recover.

    The stretch is the factor of all pauses. A failure that counts doubles it: a 429, or at least the third in a row of
    5xx and broken connections. A success halves it if no failure has counted for 10 s. It changes at most once in 10 s.
    A minute after the last failure that counted it is 1 in any case. A `Retry-After` is waited for in addition.
    """

    def __init__(self) -> None:
        self._stretch = 1.0
        self._failures = 0
        self._changed_at = self._failed_at = self._hold_until = -math.inf
        self._late_seconds = 0.0  # by which the last pause ended too late

    @property
    def stretch(self) -> float:
        """Return the factor of all pauses now; 1 when all is well."""
        return 1.0 if anyio.current_time() - self._failed_at >= _FORGET_SECONDS else self._stretch

    def failed(self, error: APIError) -> None:
        """Report a 429, a 5xx, or a connection that broke or was not made."""
        now, stretch = anyio.current_time(), self.stretch
        self._failures += 1
        if isinstance(error, APIStatusError) and error.retry_after is not None:
            self._hold_until = max(self._hold_until, now + error.retry_after)
        if isinstance(error, RateLimitError) or self._failures > _MOST_PASSING:
            self._failed_at = now
            self._change(min(_MOST_STRETCH, stretch * 2), now)

    def succeeded(self) -> None:
        """Report any other response of Contit."""
        self._failures = 0
        now = anyio.current_time()
        if now - self._failed_at >= _SETTLE_SECONDS:
            self._change(max(1.0, self.stretch / 2), now)

    async def pause(self, seconds: float) -> None:
        """Pause a poll for `seconds`, stretched, and until a `Retry-After` is over.

        Polls that waited for the same `Retry-After` continue at random moments. If the event loop ended the last pause
        late, this one is longer by that much: a process that is behind with its work polls less.
        """
        began, pause = anyio.current_time(), seconds * self.stretch + self._late_seconds
        await anyio.sleep(pause)
        now = anyio.current_time()
        self._late_seconds = max(0.0, now - began - pause)  # timers may be early
        while (left := self._hold_until - now) > 0:
            await anyio.sleep(left + seconds * self.stretch * _draw())
            now = anyio.current_time()

    async def admit_start(self, seconds: float, deadline: float) -> None:
        """Wait until a start may be sent: until a `Retry-After` is over, then for up to `seconds * (stretch - 1)`.

        Raises RateLimitError if the `Retry-After` ends after the deadline.
        """
        while (left := self._hold_until - anyio.current_time()) > 0:
            if anyio.current_time() + left >= deadline:
                current_call_stats().count("held")
                raise RateLimitError(
                    "Contit asked for a pause because of too many requests or a fault. The question was not sent.",
                    hint=later_hint(left),
                    status_code=429,
                    retry_after=left,
                )
            await anyio.sleep(left + seconds * _draw())
        if (stretch := self.stretch) > 1.0:
            await anyio.sleep(max(0.0, min(seconds * (stretch - 1.0) * _draw(), deadline - anyio.current_time())))

    def _change(self, stretch: float, now: float) -> None:
        if stretch != self._stretch and now - self._changed_at >= _SETTLE_SECONDS:
            log.warning("upstream.backoff", stretch=stretch)
            self._stretch, self._changed_at = stretch, now


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failed request is repeated, and after which pauses in seconds."""

    attempts: int = 4  # the first request included
    shortest: float = 0.25  # the first pause; each further one doubles
    longest: float = 4.0  # a `Retry-After` may ask for more
    jitter: float = 0.5  # up to this share is added to each pause, so that many callers do not return at once


def start_may_be_repeated(error: APIError) -> bool:
    """Return whether Contit cannot have accepted a start: it was not sent, or the status was 429 or 503."""
    if isinstance(error, APIStatusError):
        return error.status_code in (429, 503)
    return isinstance(error, APIConnectionError) and not error.may_have_arrived


async def retrying(
    attempt: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    deadline: float,
    may_repeat: Callable[[APIError], bool] = lambda error: error.retryable,
    backoff: Backoff | None = None,
) -> T:
    """Call `attempt` until it works, may not be repeated, or the next try would come after the deadline.

    Raises the last error. At the highest stretch nothing is repeated: in an outage, retries would multiply requests.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return await attempt()
        except APIError as error:
            if tries >= policy.attempts or not may_repeat(error) or (backoff and backoff.stretch >= _MOST_STRETCH):
                raise
            own = min(policy.longest, policy.shortest * 2.0 ** (tries - 1))
            asked = (error.retry_after if isinstance(error, APIStatusError) else None) or 0.0
            pause = max(own, asked) * (1 + policy.jitter * _draw())
            if anyio.current_time() + pause >= deadline:
                raise
            log.debug("upstream.retry", retry=tries, pause_seconds=round(pause, 3), error=type(error).__name__)
        current_call_stats().count("retry")
        await anyio.sleep(pause)

"""Repeat a request that failed. Asking again after "not yet" is polling, another module.

A read may be repeated whenever it failed for a passing reason. A start may be repeated only when Contit
cannot have accepted it: the connection failed before the request was sent, or the answer was 429 or 503.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from contit_mcp.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from contit_mcp.telemetry.call_stats import current_tally
from contit_mcp.telemetry.logging import get_logger

T = TypeVar("T")
_MOST_DOUBLINGS = 60
"""Beyond them a float would overflow before `longest` is applied."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a failed request is repeated. All durations are in seconds.

    Attributes:
        attempts: Requests in all, the first one included.
        shortest: The first pause; each further one doubles.
        longest: The longest pause of our own choosing. What `Retry-After` asks for may be longer.
        jitter: Up to this share is added to each pause, so that many callers do not return at once.
    """

    attempts: int = 4
    shortest: float = 0.25
    longest: float = 4.0
    jitter: float = 0.5

    def pause(self, retry: int, error: APIError, draw: Callable[[], float]) -> float:
        """Seconds to wait before retry number `retry` (from 1); `draw` gives a number from 0 to 1."""
        own = min(self.longest, self.shortest * 2.0 ** min(retry - 1, _MOST_DOUBLINGS))
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        return max(own, asked or 0.0) * (1 + self.jitter * draw())


def read_may_be_repeated(error: APIError) -> bool:
    """Whether a GET that failed like this may work when it is repeated."""
    return error.retryable


def start_may_be_repeated(error: APIError) -> bool:
    """Whether the start certainly was not accepted, so that repeating it cannot double the run."""
    if isinstance(error, APIConnectionError):
        return not error.may_have_arrived
    return isinstance(error, RateLimitError) or (isinstance(error, InternalServerError) and error.status_code == 503)


async def retrying(
    attempt: Callable[[], Awaitable[T]],
    *,
    may_repeat: Callable[[APIError], bool],
    policy: RetryPolicy,
    deadline: float,
    draw: Callable[[], float] = random.random,
) -> T:
    """Call `attempt` until it works, may not be repeated, or its next try would come after the deadline.

    Args:
        attempt: Sends the request once.
        may_repeat: Says of an error whether another try is allowed and can help.
        policy: How often and how patiently.
        deadline: On the event loop's clock (`anyio.current_time()`).
        draw: Gives numbers from 0 to 1, for jitter.

    Raises:
        APIError: What the last attempt raised.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return await attempt()
        except APIError as error:
            if tries >= policy.attempts or not may_repeat(error):
                raise
            pause = policy.pause(tries, error, draw)
            if anyio.current_time() + pause >= deadline:
                raise
            log.debug("upstream.retry", retry=tries, pause_seconds=round(pause, 3), error=type(error).__name__)
        current_tally().retries += 1
        await anyio.sleep(pause)


@dataclass(frozen=True, slots=True)
class GracePolicy:
    """How long a 404 right after a start, or right after `completed`, may be replication lag.

    Provenance: our choice (contit-api.md, "Not documented", 5).

    Attributes:
        seconds: From the first question on; none is asked after that.
        pause: Seconds between the questions.
    """

    seconds: float = 3.0
    pause: float = 0.4


async def forgiving_lag(attempt: Callable[[], Awaitable[T]], *, policy: GracePolicy) -> T:
    """Call `attempt` again while it answers 404, for as long as the policy allows.

    Raises:
        NotFoundError: Still 404 when the grace is over.
        APIError: Any other failure, at once.
    """
    until = anyio.current_time() + policy.seconds
    while True:
        try:
            return await attempt()
        except NotFoundError:
            if anyio.current_time() + policy.pause > until:
                raise
        current_tally().retries += 1
        await anyio.sleep(policy.pause)

"""Repeating a request that failed: how often, how long between, and never past the end. Virtual time."""

import io
import json
from collections.abc import Awaitable, Callable

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.retries import (
    GracePolicy,
    RetryPolicy,
    forgiving_lag,
    read_may_be_repeated,
    retrying,
    start_may_be_repeated,
)
from contit_mcp.telemetry.call_stats import start_call_stats

pytestmark = pytest.mark.anyio

STEADY = RetryPolicy(attempts=4, shortest=1.0, longest=8.0, jitter=0.0)


def refused_connection() -> errors.APIConnectionError:
    """An error that both reads and starts may repeat."""
    return errors.APIConnectionError("m", hint="h", may_have_arrived=False)


def status_error(
    kind: type[errors.APIStatusError], status: int, retry_after: float | None = None
) -> errors.APIStatusError:
    """An error answer of Contit's."""
    return kind("m", hint="h", status_code=status, retry_after=retry_after)


class Attempts:
    """Fails with each of `errors` in turn, then gives "done"; remembers when it was called."""

    def __init__(self, *errors: errors.APIError) -> None:
        self._errors = list(errors)
        self.times: list[float] = []

    async def __call__(self) -> str:
        """Make one attempt."""
        self.times.append(anyio.current_time())
        if self._errors:
            raise self._errors.pop(0)
        return "done"

    @property
    def offsets(self) -> list[float]:
        """Seconds from the first attempt to each."""
        return [moment - self.times[0] for moment in self.times]


async def repeat(
    attempt: Callable[[], Awaitable[str]],
    *,
    policy: RetryPolicy = STEADY,
    within: float = 1_000.0,
    may_repeat: Callable[[errors.APIError], bool] = read_may_be_repeated,
    draw: Callable[[], float] = lambda: 0.0,
) -> str:
    """Call `retrying` with a deadline `within` seconds from now, in bounded time."""
    with anyio.fail_after(1_000_000):
        return await retrying(
            attempt, may_repeat=may_repeat, policy=policy, deadline=anyio.current_time() + within, draw=draw
        )


MAY_BE_REPEATED = [
    # error, whether a read may be repeated, whether a start may
    (refused_connection(), True, True),
    (errors.APIConnectionError("m", hint="h", may_have_arrived=True), True, False),
    (errors.APITimeoutError("m", hint="h", may_have_arrived=False), True, True),
    (errors.APITimeoutError("m", hint="h", may_have_arrived=True), True, False),
    (errors.APIResponseValidationError("m", hint="h"), True, False),
    (status_error(errors.BadRequestError, 400), False, False),
    (status_error(errors.AuthenticationError, 401), False, False),
    (status_error(errors.PermissionDeniedError, 403), False, False),
    (status_error(errors.NotFoundError, 404), False, False),
    (status_error(errors.ConflictError, 409), False, False),
    (status_error(errors.UnprocessableEntityError, 422), False, False),
    (status_error(errors.RateLimitError, 429), True, True),
    (status_error(errors.RedirectError, 302), False, False),
    (status_error(errors.InternalServerError, 500), True, False),
    (status_error(errors.InternalServerError, 502), True, False),
    (status_error(errors.InternalServerError, 503), True, True),
    (status_error(errors.InternalServerError, 504), True, False),
    (status_error(errors.APIStatusError, 418), False, False),
    (status_error(errors.APIStatusError, 503), False, False),
]


@pytest.mark.parametrize(
    ("error", "read", "start"),
    MAY_BE_REPEATED,
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'status_code', '')}",
)
def test_what_may_be_repeated_is_decided_by_the_kind_of_error(error: errors.APIError, read: bool, start: bool) -> None:
    assert read_may_be_repeated(error) is read
    assert start_may_be_repeated(error) is start


def test_every_kind_of_api_error_is_in_the_table() -> None:
    """A new class of error must be given its place in the table above."""

    def all_below(kind: type[errors.APIError]) -> set[type[errors.APIError]]:
        return {kind}.union(*(all_below(child) for child in kind.__subclasses__()))

    assert {type(error) for error, _, _ in MAY_BE_REPEATED} == all_below(errors.APIError) - {errors.APIError}


# --- The pause ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry", "asked", "draw", "expected"),
    [
        (1, None, 0.0, 0.25),
        (2, None, 0.0, 0.5),
        (3, None, 0.0, 1.0),
        (5, None, 0.0, 4.0),
        (6, None, 0.0, 4.0),
        (100_000, None, 0.0, 4.0),
        (1, None, 1.0, 0.375),
        (6, None, 0.5, 5.0),
        (1, 10.0, 0.0, 10.0),
        (1, 10.0, 1.0, 15.0),
        (6, 3.0, 0.0, 4.0),
        (2, 0.0, 0.0, 0.5),
    ],
)
def test_a_pause_doubles_up_to_the_longest_and_grows_to_what_contit_asks(
    retry: int, asked: float | None, draw: float, expected: float
) -> None:
    error = status_error(errors.RateLimitError, 429, asked)
    assert RetryPolicy().pause(retry, error, lambda: draw) == pytest.approx(expected)


# --- retrying ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", [1, 2, 4])
async def test_the_attempts_are_used_up_exactly_and_the_last_error_is_raised(allowed: int) -> None:
    faults = [refused_connection() for _ in range(10)]
    attempts = Attempts(*faults)
    stats = start_call_stats()
    with pytest.raises(errors.APIConnectionError) as caught:
        await repeat(attempts, policy=RetryPolicy(attempts=allowed, shortest=0.1, longest=0.1, jitter=0.0))
    assert len(attempts.times) == allowed
    assert caught.value is faults[allowed - 1]
    assert stats.retries == allowed - 1


@pytest.mark.parametrize(
    ("within", "requests"),
    [
        (0.0, 1),
        (0.999, 1),
        (1.0, 1),  # exactly at the deadline is too late
        (1.001, 2),
        (3.0, 2),
        (3.001, 3),
    ],
)
async def test_no_retry_begins_at_or_after_the_deadline(within: float, requests: int) -> None:
    """A retry that would begin exactly at the deadline is not made, and the error comes at once."""
    attempts = Attempts(*[refused_connection() for _ in range(10)])
    with pytest.raises(errors.APIConnectionError):
        await repeat(attempts, within=within)
    assert len(attempts.times) == requests
    assert anyio.current_time() == attempts.times[-1]


async def test_a_deadline_that_has_passed_still_allows_the_first_attempt() -> None:
    assert await repeat(Attempts(), within=-5.0) == "done"


async def test_a_cancelled_pause_ends_at_once_without_another_attempt() -> None:
    attempts = Attempts(*[refused_connection() for _ in range(3)])
    with anyio.move_on_after(0.5) as scope:
        await repeat(attempts)
    assert scope.cancelled_caught
    assert len(attempts.times) == 1


async def test_each_retry_is_one_debug_line_without_the_error_text(logged: io.StringIO) -> None:
    await repeat(Attempts(refused_connection(), status_error(errors.RateLimitError, 429, 2.5)))
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    told = [(line["event"], line["retry"], line["pause_seconds"], line["error"]) for line in lines]
    assert told == [
        ("upstream.retry", 1, 1.0, "APIConnectionError"),
        ("upstream.retry", 2, 2.5, "RateLimitError"),
    ]


# --- forgiving_lag -----------------------------------------------------------------------------------------------


def not_found() -> errors.NotFoundError:
    """A 404."""
    return errors.NotFoundError("m", hint="h", status_code=404)


@pytest.mark.parametrize(
    ("seconds", "pause", "offsets"),
    [
        (0.0, 0.5, [0.0]),
        (0.499, 0.5, [0.0]),
        (0.5, 0.5, [0.0, 0.5]),  # a question exactly at the end of the grace is still asked
        (0.999, 0.5, [0.0, 0.5]),
        (1.0, 0.5, [0.0, 0.5, 1.0]),
    ],
)
async def test_a_404_is_forgiven_until_the_grace_is_exactly_over(
    seconds: float, pause: float, offsets: list[float]
) -> None:
    attempts, stats = Attempts(*[not_found() for _ in range(20)]), start_call_stats()
    with pytest.raises(errors.NotFoundError), anyio.fail_after(100):
        await forgiving_lag(attempts, policy=GracePolicy(seconds=seconds, pause=pause))
    assert attempts.offsets == pytest.approx(offsets)
    assert anyio.current_time() == attempts.times[-1]
    assert stats.retries == len(offsets) - 1

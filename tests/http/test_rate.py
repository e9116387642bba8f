"""Requests per minute in a sliding window, on a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.http.rate import MOST_CALLERS, RequestRate

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds since the epoch."""

    def __init__(self, at: float = 6_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@given(st.integers(1, 50), st.lists(st.floats(0, 90), max_size=60), st.floats(0, 60))
async def test_no_minute_has_more_requests_than_allowed_and_the_wait_is_true(
    limit: int, pauses: list[float], second: float
) -> None:
    """A minute of the clock, and any time after a pause: the seconds that a refusal names are enough."""
    clock = Clock(6_000.0 + second)
    rate = RequestRate(limit, now=clock)
    admitted: dict[int, int] = {}
    for pause in pauses:
        clock.at += pause
        seconds = await rate.seconds_to_wait("anna")
        if seconds is not None:
            assert 1 <= seconds <= 120
            clock.at += seconds
            assert await rate.seconds_to_wait("anna") is None
        minute = int(clock.at // 60)
        admitted[minute] = admitted.get(minute, 0) + 1
    assert max(admitted.values(), default=0) <= limit


async def test_a_burst_at_the_end_of_a_minute_counts_in_the_next_one() -> None:
    """A fixed window would let twice as many pass at once."""
    clock = Clock(6_059.0)
    rate = RequestRate(100, now=clock)
    first = [await rate.seconds_to_wait("anna") for _ in range(100)]
    clock.at += 2
    second = [await rate.seconds_to_wait("anna") for _ in range(100)]
    assert (first.count(None), second.count(None)) == (100, 1)
    clock.at += 180
    assert await rate.seconds_to_wait("anna") is None


async def test_callers_and_polls_are_counted_apart() -> None:
    """A caller over its limit takes nothing of another's, nor of its own polls."""
    rate = RequestRate(1, now=Clock())
    for caller in ("anna", "marco"):
        assert await rate.seconds_to_wait(caller) is None
        assert await rate.seconds_to_wait(caller) is not None
        polls = [await rate.seconds_to_wait(caller, poll=True) for _ in range(21)]
        assert polls.count(None) == 20


async def test_made_up_callers_fill_no_memory() -> None:
    """The one that was counted first makes room: it could have made up another name as well."""
    rate = RequestRate(1, now=Clock())
    assert await rate.seconds_to_wait("first") is None
    for number in range(MOST_CALLERS - 1):
        assert await rate.seconds_to_wait(f"made-up-{number}") is None
    assert await rate.seconds_to_wait("first") is not None
    assert await rate.seconds_to_wait("one more") is None
    assert await rate.seconds_to_wait("first") is None

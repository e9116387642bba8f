"""Whether Contit counts as reachable: each change is logged once, and slowness or load alone is no change."""

import io
import json
from collections.abc import Awaitable, Callable

import anyio
import pytest

from contit_mcp.telemetry.call_stats import Reachability

pytestmark = pytest.mark.anyio


async def at_once(state: Reachability, number: int, seconds: float, *, read: bool = True, fail: bool = False) -> None:
    """Send so many requests at once, each of which takes so many seconds."""

    async def request() -> None:
        with state.waiting(read=read):
            await anyio.sleep(seconds)
        if fail:
            state.failed("503")
        else:
            state.answered()

    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(request)


async def in_turn(state: Reachability, seconds: float, each: float, *, failures_in_ten: int = 0) -> None:
    """Send one request after another for so many seconds."""
    for number in range(int(seconds / each)):
        await at_once(state, 1, each, fail=number % 10 < failures_in_ten)


async def six_that_hang_beside_others(state: Reachability) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at_once, state, 6, 60)
        await anyio.sleep(0.5)
        await in_turn(state, 3, 0.1)


# The requests, and the cause that is logged for them as an outage; None if they are no outage.
TRAFFIC: dict[str, tuple[Callable[[Reachability], Awaitable[None]], str | None]] = {
    "no requests": (lambda _: anyio.sleep(600), None),
    "two failures": (lambda state: at_once(state, 2, 0.1, fail=True), None),
    "three failures": (lambda state: at_once(state, 3, 0.1, fail=True), "503"),
    "a few failures among answers": (lambda state: in_turn(state, 60, 0.1, failures_in_ten=2), None),
    "half of all fail": (lambda state: in_turn(state, 60, 0.1, failures_in_ten=5), "503"),
    "slow starts": (lambda state: at_once(state, 50, 6, read=False), None),
    "slow reads, one at a time": (lambda state: in_turn(state, 60, 6), None),
    "six reads that hang beside others": (six_that_hang_beside_others, None),
    "five reads without an answer": (lambda state: at_once(state, 5, 1.6), "silence"),
    "one start without an answer": (lambda state: at_once(state, 1, 12, read=False), "silence"),
}


@pytest.mark.parametrize(("traffic", "cause"), TRAFFIC.values(), ids=TRAFFIC)
async def test_an_outage_ends_when_answers_come_and_nothing_has_failed_for_three_seconds(
    traffic: Callable[[Reachability], Awaitable[None]], cause: str | None, logged: io.StringIO
) -> None:
    """Other traffic logs nothing. One answer does not end an outage at once: the next request may fail again."""
    state = Reachability()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(state.watch)
        await traffic(state)
        assert state.reachable is (cause is None)
        await anyio.sleep(1)
        await at_once(state, 1, 0.1)
        assert state.reachable is (cause is None)
        await anyio.sleep(4)
        assert state.reachable
        tasks.cancel_scope.cancel()
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    changes = [("contit.unreachable", cause), ("contit.back", None)] if cause else []
    assert [(line["event"], line.get("cause")) for line in lines] == changes
    assert (state.in_flight, state.oldest_seconds) == (0, 0)


async def test_the_number_and_the_age_of_the_requests_that_wait_are_known() -> None:
    state = Reachability()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at_once, state, 3, 5)
        await anyio.sleep(1)
        tasks.start_soon(at_once, state, 2, 9)
        await anyio.sleep(1)
        assert (state.in_flight, round(state.oldest_seconds, 3)) == (5, 2)
        await anyio.sleep(4)
        assert (state.in_flight, round(state.oldest_seconds, 3)) == (2, 5)

"""Whether Contit counts as reachable: told once in each direction, and never for what is only slow or busy."""

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from contit_mcp.telemetry.call_stats import Reachability

pytestmark = pytest.mark.anyio

Scene = Callable[[Reachability], Awaitable[None]]


def events(logged: io.StringIO) -> list[str]:
    """The events, with the cause of an outage."""
    lines = map(json.loads, logged.getvalue().splitlines())
    return [" ".join(filter(None, [line["event"], line.get("cause")])) for line in lines]


@asynccontextmanager
async def watched() -> AsyncIterator[Reachability]:
    state = Reachability()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(state.watch)
        yield state
        tasks.cancel_scope.cancel()


async def requests(state: Reachability, count: int, seconds: float, *, read: bool = True, good: bool = True) -> None:
    async def one() -> None:
        with state.waiting(read=read):
            await anyio.sleep(seconds)
        if good:
            state.answered()
        else:
            state.failed("503")

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)


async def steady(state: Reachability, seconds: float, each: float, *, failing: int = 0) -> None:
    """One request after another; of each ten so many fail."""
    for number in range(int(seconds / each)):
        await requests(state, 1, each, good=number % 10 >= failing)


async def one_that_hangs_beside_others(state: Reachability) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(requests, state, 6, 60)
        await anyio.sleep(0.5)
        await steady(state, 3, 0.1)


PASSING: dict[str, Scene] = {
    "two failures": lambda state: requests(state, 2, 0.1, good=False),
    "slow starts": lambda state: requests(state, 50, 6, read=False),
    "one slow read": lambda state: steady(state, 60, 6),
    "one that hangs beside others": one_that_hangs_beside_others,
    "nothing at all": lambda _: anyio.sleep(600),
    "a few failures among answers": lambda state: steady(state, 60, 0.1, failing=2),
}


@pytest.mark.parametrize("scene", PASSING.values(), ids=PASSING)
async def test_what_passes_is_not_told(scene: Scene, logged: io.StringIO) -> None:
    async with watched() as state:
        await scene(state)
        assert state.reachable
    assert events(logged) == []


OUTAGES: dict[str, tuple[Scene, str]] = {
    "three failures": (lambda state: requests(state, 3, 0.1, good=False), "503"),
    "silence": (lambda state: requests(state, 5, 1.6), "silence"),
    "a lone request in silence": (lambda state: requests(state, 1, 12, read=False), "silence"),
    "half of all fail": (lambda state: steady(state, 60, 0.1, failing=5), "503"),
}


@pytest.mark.parametrize(("scene", "cause"), OUTAGES.values(), ids=OUTAGES)
async def test_an_outage_is_told_once_in_each_direction(scene: Scene, cause: str, logged: io.StringIO) -> None:
    """It is over when answers come and no request has failed for 3 s; without any request nothing is known."""
    async with watched() as state:
        await scene(state)
        assert not state.reachable
        await anyio.sleep(1)
        await requests(state, 1, 0.1)
        assert not state.reachable
        await anyio.sleep(4)
        assert state.reachable
    assert events(logged) == [f"contit.unreachable {cause}", "contit.back"]
    assert (state.in_flight, state.oldest_seconds) == (0, 0)


async def test_the_oldest_request_and_how_many_there_are_is_known_while_they_wait() -> None:
    state = Reachability()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(requests, state, 3, 5)
        await anyio.sleep(1)
        tasks.start_soon(requests, state, 2, 9)
        await anyio.sleep(1)
        assert (state.in_flight, round(state.oldest_seconds, 3)) == (5, 2)
        await anyio.sleep(4)
        assert (state.in_flight, round(state.oldest_seconds, 3)) == (2, 5)

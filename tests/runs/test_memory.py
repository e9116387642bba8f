"""The store of one process."""

import pytest

from contit_mcp.runs.memory import MemoryRunStore
from tests.runs.steps import Clock, begin, claim, complete, fail, found, opening, start

pytestmark = pytest.mark.anyio


async def test_beyond_its_capacity_the_oldest_ended_runs_and_dead_starts_go_and_no_run_in_flight(clock: Clock) -> None:
    store = MemoryRunStore(capacity=10, now=clock)
    in_flight = await begin(store, opening("in flight"), "r", thread_id="in flight")
    for number in range(50):
        clock.at(number * 30)
        await claim(store, opening(f"died {number}"))
        await fail(store, await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}"))
        assert len(store) <= 12
    assert await store.find("owner", "in flight", "r") == in_flight
    left = [number for number in range(50) if await store.find("owner", f"t{number}", "r")]
    assert left == list(range(left[0], 50))
    clock.at(90_000)
    await store.find("owner", "t0")
    assert len(store) == 0


async def test_beyond_their_size_the_oldest_answers_go_and_their_runs_stay(clock: Clock) -> None:
    store = MemoryRunStore(answer_characters=1_000, now=clock)
    for number in range(5):
        clock.at(number)
        run = await complete(store, await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}"), "a" * 400)
        assert run.answer == "a" * 400
    runs = [await found(store, "r", f"t{number}") for number in range(5)]
    assert [run.answer is not None for run in runs] == [False, False, False, True, True]


async def test_a_run_whose_answer_has_expired_goes_before_a_younger_one_with_its_answer(clock: Clock) -> None:
    """A change does not make a run younger."""
    store = MemoryRunStore(capacity=3, now=clock)
    for number, asked_at in enumerate((0, 100, 3_500)):
        clock.at(asked_at)
        await complete(store, await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}"))
    clock.at(3_800)
    await begin(store, opening("q3"), "r", thread_id="t3")
    assert await store.find("owner", "t0", "r") is None
    assert [(await found(store, "r", thread_id)).answer for thread_id in ("t1", "t2")] == [None, "answer"]


async def test_an_intent_is_kept_however_the_clock_jumps(clock: Clock) -> None:
    store = MemoryRunStore(now=clock)
    granted = await claim(store, opening("q"))
    clock.at(1e6)
    await claim(store, opening("other"))
    run = await start(store, granted.record, "r")
    assert await store.find("owner", "t", "r") == run

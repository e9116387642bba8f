"""What every run store promises."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from contit_mcp.runs.claims import Busy, Deduplicated, Granted
from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import START_LEASE_SECONDS, Delivery, Failure, Phase, intent_to_start, untracked_run
from contit_mcp.runs.store import MOST_RECENT, RetentionPolicy, RunStore
from tests.children import anyio_backend
from tests.redis_server import session_redis
from tests.runs.steps import (
    T0,
    Clock,
    NewStore,
    a_store,
    begin,
    claim,
    complete,
    fail,
    follow_up,
    found,
    opening,
    start,
)

__all__ = ["anyio_backend", "session_redis"]
pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite", "redis", "fallback"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    def in_memory(retention: RetentionPolicy, now: Callable[[], float]) -> RunStore:
        return MemoryRunStore(retention=retention, now=now)

    if request.param == "redis":
        new: NewStore = request.getfixturevalue("new_redis_store")
        return new
    if request.param == "sqlite":
        return lambda retention, now: a_store(tmp_path / "runs", retention=retention, now=now)
    if request.param == "fallback":
        return lambda retention, now: FallbackRunStore(
            in_memory(retention, now), MemoryRunStore(retention=retention, now=now)
        )
    return in_memory


async def test_a_granted_question_is_deduplicated_and_found_by_its_ids_and_as_the_latest(store: RunStore) -> None:
    first = await claim(store, opening("q"))
    assert isinstance(first, Granted)
    assert first.record.phase is Phase.STARTING
    assert await claim(store, opening("q")) == Deduplicated(first.record)
    run = await start(store, first.record, "r")
    assert (run.phase, run.thread_id, run.run_id, run.started_at) == (Phase.IN_PROGRESS, "t", "r", T0)
    assert await store.find("owner", "t", "r") == await store.find("owner", "t") == run


@pytest.mark.parametrize("new_store", ["sqlite", "redis"], indirect=True)
async def test_what_one_process_stores_another_finds_also_after_a_restart(new_store: NewStore, clock: Clock) -> None:
    here, there = (new_store(RetentionPolicy(), clock) for _ in range(2))
    run = await begin(here, opening("q"), "r", title="Bücher ✓")
    assert await claim(there, opening("q")) == Deduplicated(run)
    ended = await complete(there, run, "è ✓")
    await here.aclose()
    assert await here.find("owner", "t", "r") == ended


async def test_nothing_is_found_under_another_owner_or_other_ids(store: RunStore) -> None:
    await begin(store, opening("q"), "r")
    assert await store.find("other", "t", "r") is None
    assert await store.find("other", "t") is None
    assert await store.recent("other", 10) == []
    assert await store.find("owner", "t", "x") is None
    assert await store.find("owner", "x", "r") is None
    assert isinstance(await claim(store, follow_up("z", owner="other")), Granted)


async def test_a_thread_is_busy_for_other_questions_from_the_claim_to_the_end(store: RunStore, clock: Clock) -> None:
    first = await begin(store, opening("q"), "r1")
    assert await claim(store, follow_up("z")) == Busy(first)
    clock.at(5)
    first = await complete(store, first)
    assert (first.phase, first.answer, first.ended_at, first.run_seconds) == (Phase.COMPLETED, "answer", T0 + 5, 5.0)
    clock.at(6)
    granted = await claim(store, follow_up("z"))
    assert isinstance(granted, Granted)
    assert isinstance(await claim(store, follow_up("y")), Busy)
    assert await store.find("owner", "t") == first  # the ids of the second are not known yet
    second = await start(store, granted.record, "r2")
    assert await claim(store, follow_up("y")) == Busy(second)
    assert await claim(store, follow_up("z")) == Deduplicated(second)


async def test_a_released_intent_leaves_no_trace_and_a_started_run_stays(store: RunStore, clock: Clock) -> None:
    first = await complete(store, await begin(store, opening("q"), "r1"))
    clock.at(2)
    intent = await claim(store, follow_up("z"))
    for each in (intent.record, first, replace(first, key="unknown")):
        await store.release(each)
    assert await store.find("owner", "t") == await store.find("owner", "t", "r1") == first
    assert isinstance(await claim(store, follow_up("y")), Granted)


async def test_the_first_end_stays(store: RunStore, clock: Clock) -> None:
    """A late second reading could be another run's answer."""
    run = await begin(store, opening("q"), "r")
    ended = await complete(store, run, "first")
    clock.at(6)
    assert await complete(store, run, "second") == ended
    assert await fail(store, run, Failure.NO_END_SEEN) == ended
    other = await begin(store, follow_up("z"), "r2")
    failed = await fail(store, other)
    assert (failed.phase, failed.failure, failed.answer) == (Phase.FAILED, Failure.RUN_FAILED, None)
    assert await complete(store, other, "late") == failed


async def test_the_end_of_an_untracked_run_is_kept_only_once_it_is_adopted(store: RunStore, clock: Clock) -> None:
    later = await begin(store, opening("q"), "r2")
    ended = await complete(store, untracked_run("owner", "t", "r1", now=T0 - 60))
    assert (ended.phase, ended.answer) == (Phase.COMPLETED, "answer")
    assert await store.find("owner", "t", "r1") is None
    await store.change(replace(ended, started_at=ended.asked_at), lambda run, _: run)
    run = await found(store, "r1")
    assert (run.phase, run.answer, run.started_at) == (Phase.COMPLETED, "answer", T0 - 60)
    assert await store.find("owner", "t") == later
    clock.at(86_341)
    assert await store.find("owner", "t", "r1") is None


async def test_an_answer_is_kept_for_its_time_and_its_run_for_longer(store: RunStore, clock: Clock) -> None:
    await complete(store, await begin(store, opening("q"), "r"))
    clock.at(3_600)
    assert (await found(store, "r")).answer == "answer"
    clock.at(3_601)
    later = await found(store, "r")
    assert (later.phase, later.answer) == (Phase.COMPLETED, None)
    clock.at(86_401)
    assert await store.find("owner", "t", "r") is None
    assert await store.find("owner", "t") is None
    assert await store.recent("owner", 10) == []


async def test_retention_zero_returns_the_answer_once_and_keeps_none(new_store: NewStore, clock: Clock) -> None:
    store = new_store(RetentionPolicy(answer=0), clock)
    ended = await complete(store, await begin(store, opening("q"), "r"))
    assert ended.answer == "answer"
    assert (await found(store, "r")).answer is None


async def test_an_owed_answer_is_returned_until_it_is_delivered_and_then_for_a_while_if_that_was_slow(
    store: RunStore, clock: Clock
) -> None:
    run = await complete(store, await begin(store, opening("q"), "r"))
    assert await claim(store, opening("q")) == Deduplicated(run)
    clock.at(50)
    run = await store.change(run, lambda run, now: run.delivered(replay_until=now + 120))
    clock.at(170)
    assert await claim(store, opening("q")) == Deduplicated(run)
    clock.at(170.5)
    assert isinstance(await claim(store, opening("q")), Granted)
    await fail(store, await begin(store, opening("z"), "r2", thread_id="t2"))
    assert isinstance(await claim(store, opening("z")), Granted)


async def test_a_start_whose_process_died_is_replaced_and_the_grant_says_so(store: RunStore, clock: Clock) -> None:
    died = await claim(store, opening("q"))
    clock.at(START_LEASE_SECONDS - 0.1)
    assert await claim(store, opening("q")) == Deduplicated(died.record)
    clock.at(START_LEASE_SECONDS)
    retry = await claim(store, opening("q"))
    assert isinstance(retry, Granted)
    assert retry.interrupted
    await store.release(retry.record)
    again = await claim(store, opening("q"))
    assert isinstance(again, Granted)


async def test_a_start_that_died_is_kept_when_another_question_came_to_nothing(store: RunStore, clock: Clock) -> None:
    """Its own retry still says that it may run twice."""
    await complete(store, await begin(store, opening("q"), "r1"))
    assert isinstance(await claim(store, follow_up("died")), Granted)
    clock.at(60)
    other = await claim(store, follow_up("other"))
    assert isinstance(other, Granted)
    assert not other.interrupted
    await store.release(other.record)
    retry = await claim(store, follow_up("died"))
    assert isinstance(retry, Granted)
    assert retry.interrupted


async def test_a_lease_goes_to_one_process_until_it_ends_or_is_released(store: RunStore, clock: Clock) -> None:
    run = await begin(store, opening("q"), "r")  # leased to p

    async def lease(process: str) -> str | None:
        changed = await store.change(run, lambda run, now: run.leased_to(process, seconds=10, now=now))
        return changed.lease_owner

    clock.at(9)
    assert await lease("other") == "p"
    clock.at(10)
    assert await lease("other") == "other"
    await store.change(run, lambda run, _: run.released_by("p"))
    assert await lease("p") == "other"
    await store.change(run, lambda run, _: run.released_by("other"))
    assert await lease("p") == "p"


@pytest.mark.parametrize("ahead", [3_600.0, 86_400.0 * 365, 120.0])
async def test_a_lease_that_a_wrong_clock_wrote_keeps_nothing_from_starting(
    store: RunStore, clock: Clock, ahead: float
) -> None:
    clock.at(ahead)
    await claim(store, opening("q"))
    clock.at(0)
    assert isinstance(await claim(store, opening("q")), Granted)


async def test_a_run_is_on_the_thread_that_contit_names(store: RunStore) -> None:
    """It may be another one than was asked for (assumed)."""
    granted = await claim(store, follow_up("q", "asked"))
    run = await start(store, granted.record, "r", "named")
    assert await store.find("owner", "asked") is None
    assert await store.find("owner", "named") == run


async def test_of_many_claims_at_once_one_is_granted(store: RunStore) -> None:
    granted: list[bool] = []

    async def one(prompt: str) -> None:
        granted.append(isinstance(await claim(store, follow_up(prompt)), Granted))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, f"q{number % 5}")
    assert sum(granted) == 1


async def test_the_order_on_a_thread_does_not_depend_on_whose_clock_is_ahead(store: RunStore, clock: Clock) -> None:
    await complete(store, await begin(store, opening("q"), "r1"))
    clock.at(-8)
    second = await begin(store, follow_up("z"), "r2")
    clock.at(0)
    assert await store.find("owner", "t") == second
    assert await claim(store, follow_up("y")) == Busy(second)


async def test_a_claim_whose_answer_was_lost_is_granted_when_it_is_made_again(store: RunStore) -> None:
    intent = intent_to_start(opening("q"), delivery=Delivery.OWED, process="p", now=T0)
    granted = await store.claim(intent)
    assert isinstance(granted, Granted)
    assert await store.claim(intent) == Granted(granted.record)


async def test_a_cancelled_ask_is_stored_with_its_run_which_goes_on(store: RunStore) -> None:
    run = await begin(store, opening("q"), "r")
    await store.change(run, lambda run, _: run.cancelled_at(1_700_000_000_123))
    for _ in range(2):
        await store.change(run, lambda run, _: run.cancelled_at(7))
    kept = await found(store, "r")
    assert (kept.phase, kept.cancelled) == (Phase.IN_PROGRESS, (1_700_000_000_123, 7))
    ended = await complete(store, kept)
    await store.change(ended, lambda run, _: run.cancelled_at(9))
    assert (await found(store, "r")).cancelled == (1_700_000_000_123, 7)


async def test_recent_runs_come_newest_first_with_titles_and_without_answers(store: RunStore, clock: Clock) -> None:
    for number in range(5):
        clock.at(number)
        run = await begin(store, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}", title=f"title {number}")
        await complete(store, run)
    await begin(store, opening("q0", "other"), "foreign", thread_id="t0")
    await claim(store, opening("not started"))
    recent = await store.recent("owner", 3)
    assert [(run.run_id, run.title, run.answer) for run in recent] == [
        (f"r{number}", f"title {number}", None) for number in (4, 3, 2)
    ]
    assert [run.phase for run in recent] == [Phase.COMPLETED] * 3
    for none in (0, -1, -1_000):
        assert await store.recent("owner", none) == []
    for number in range(5, MOST_RECENT + 5):
        clock.at(number)
        await begin(store, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}")
    assert [run.run_id for run in await store.recent("owner", 10_000)][-1] == "r5"

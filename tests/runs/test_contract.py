"""What every run store promises."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from contit_mcp.runs.claims import Busy, Deduplicated, Granted
from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import MAX_LEASE_SECONDS, START_LEASE_SECONDS, Failure, Phase, untracked_run
from contit_mcp.runs.store import MOST_RECENT, RetentionPolicy, RunStore
from tests.children import anyio_backend
from tests.redis_server import session_redis
from tests.runs import steps
from tests.runs.steps import T0, Clock, NewStore, begin, claim, complete, fail, follow_up, found, opening, start

__all__ = ["anyio_backend", "session_redis"]
pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite", "redis", "fallback"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    def memory(retention: RetentionPolicy, now: Callable[[], float]) -> MemoryRunStore:
        return MemoryRunStore(retention=retention, now=now)

    if request.param == "redis":
        new: NewStore = request.getfixturevalue("new_redis_store")
        return new
    kinds: dict[str, NewStore] = {
        "memory": memory,
        "sqlite": lambda retention, now: steps.open_sqlite(tmp_path / "runs", retention=retention, now=now),
        "fallback": lambda retention, now: FallbackRunStore(memory(retention, now), memory(retention, now)),
    }
    return kinds[request.param]


async def test_a_granted_question_is_deduplicated_and_its_run_found_by_its_ids_and_as_latest(store: RunStore) -> None:
    granted = await claim(store, opening("q"))
    assert granted == Granted(granted.record)
    assert granted.record.phase is Phase.STARTING
    assert await store.claim(granted.record) == granted, "a store's response can be lost, and the claim repeated"
    assert await claim(store, opening("q")) == Deduplicated(granted.record)
    run = await start(store, granted.record, "r")
    assert (run.phase, run.thread_id, run.run_id, run.started_at) == (Phase.IN_PROGRESS, "t", "r", T0)
    assert await store.find("owner", "t", "r") == await store.find("owner", "t") == run


async def test_a_run_is_found_by_its_owner_alone_and_on_the_thread_that_contit_named(store: RunStore) -> None:
    run = await begin(store, follow_up("q", "asked"), "r", thread_id="named")
    assert await store.find("owner", "named") == run
    assert await store.find("owner", "asked") is None
    assert await store.find("owner", "named", "x") is None
    assert await store.find("owner", "x", "r") is None
    assert await store.find("other", "named", "r") is None
    assert await store.find("other", "named") is None
    assert await store.recent("other", 10) == []
    assert isinstance(await claim(store, follow_up("z", "named", "other")), Granted)


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


async def test_the_first_end_stays_and_a_failed_question_can_start_again(store: RunStore, clock: Clock) -> None:
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
    assert isinstance(await claim(store, follow_up("z")), Granted)


async def test_the_end_of_an_untracked_run_is_kept_only_if_its_start_time_is_set(store: RunStore, clock: Clock) -> None:
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
    assert (await complete(store, await begin(store, opening("q"), "r"))).answer == "answer"
    assert (await found(store, "r")).answer is None


async def test_a_start_whose_process_died_is_replaced_by_its_retry_alone(store: RunStore, clock: Clock) -> None:
    """The grant of the retry says so. Another question in between, which came to nothing, changes none of that."""
    await complete(store, await begin(store, opening("q"), "r1"))
    clock.at(1)
    died = await claim(store, follow_up("died"))
    clock.at(START_LEASE_SECONDS + 0.9)
    assert await claim(store, follow_up("died")) == Deduplicated(died.record)
    clock.at(START_LEASE_SECONDS + 1)
    other = await claim(store, follow_up("other"))
    assert other == Granted(other.record)
    await store.release(other.record)
    retry = await claim(store, follow_up("died"))
    assert retry == Granted(retry.record, interrupted=True)
    await store.release(retry.record)
    assert isinstance(await claim(store, follow_up("died")), Granted)


async def test_a_lease_of_a_clock_that_is_ahead_blocks_no_start(store: RunStore, clock: Clock) -> None:
    clock.at(MAX_LEASE_SECONDS - START_LEASE_SECONDS + 1)
    await claim(store, opening("q"))
    clock.at(0)
    assert isinstance(await claim(store, opening("q")), Granted)


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


async def test_recent_runs_come_newest_first_with_titles_and_without_answers(store: RunStore, clock: Clock) -> None:
    for number in range(5):
        clock.at(number)
        run = await begin(store, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}", title=f"title {number}")
        await complete(store, run)
    await begin(store, opening("q0", "other"), "foreign", thread_id="t0")
    await claim(store, opening("not started"))
    recent = [(run.run_id, run.title, run.phase, run.answer) for run in await store.recent("owner", 3)]
    assert recent == [(f"r{number}", f"title {number}", Phase.COMPLETED, None) for number in (4, 3, 2)]
    for none in (0, -1):
        assert await store.recent("owner", none) == []
    for number in range(5, MOST_RECENT + 5):
        clock.at(number)
        await begin(store, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}")
    assert [run.run_id for run in await store.recent("owner", 10_000)][-1] == "r5"

"""What every run store promises. A store's test module imports the tests and provides the fixture `new_store`."""

from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest

from contit_mcp.runs.claims import Busy, Granted, Joined, is_being_sent
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.record import Delivery, Failure, Phase, Question, RunRecord, hash_prompt, intent_to_start
from contit_mcp.runs.store import RetentionPolicy, RunStore

NewStore = Callable[[RetentionPolicy], RunStore]
T0 = 1_700_000_000.0


def opening(prompt: str, owner: str = "owner") -> Question:
    """A question that begins a conversation."""
    return Question(owner, None, hash_prompt(prompt))


def follow_up(prompt: str, thread_id: str = "t", owner: str = "owner") -> Question:
    """A question on a thread."""
    return Question(owner, thread_id, hash_prompt(prompt))


@pytest.fixture
def store(new_store: NewStore) -> RunLedger:
    """A store with the default retention, spoken to as everyone does."""
    return RunLedger(new_store(RetentionPolicy()))


async def begin(
    store: RunLedger, question: Question, run_id: str, *, thread_id: str = "t", now: float = T0, awaited: bool = True
) -> RunRecord:
    """Claim and start."""
    delivery = Delivery.AWAITED if awaited else Delivery.HANDED_OVER
    claim = await store.claim(question, delivery=delivery, now=now)
    assert isinstance(claim, Granted)
    return await store.started(claim.record, thread_id, run_id, now=now)


async def test_a_granted_question_is_joined_by_the_same_one(store: RunLedger) -> None:
    """Also before its ids are known (our choice)."""
    first = await store.claim(opening("q"), now=T0)
    assert isinstance(first, Granted)
    assert first.record.phase is Phase.STARTING
    second = await store.claim(opening("q"), now=T0 + 1)
    assert isinstance(second, Joined)
    assert second.record == first.record


async def test_a_started_run_is_found_by_its_ids_and_as_the_threads_latest(store: RunLedger) -> None:
    """With all that is known of it (our choice)."""
    run = await begin(store, opening("q"), "r")
    assert (run.phase, run.thread_id, run.run_id, run.started_at) == (Phase.IN_PROGRESS, "t", "r", T0)
    assert await store.find("owner", "t", "r", now=T0) == run
    assert await store.latest("owner", "t", now=T0) == run


async def test_nothing_is_found_under_another_owner_or_other_ids(store: RunLedger) -> None:
    """A handle that is not yours does not exist (our choice)."""
    await begin(store, opening("q"), "r")
    assert await store.find("other", "t", "r", now=T0) is None
    assert await store.latest("other", "t", now=T0) is None
    assert await store.find("owner", "t", "x", now=T0) is None
    assert await store.find("owner", "x", "r", now=T0) is None
    assert isinstance(await store.claim(follow_up("z", owner="other"), now=T0), Granted)


async def test_a_thread_with_a_run_in_flight_is_busy_for_other_questions(store: RunLedger) -> None:
    """One run at a time, whether it began the conversation or followed up (our choice)."""
    first = await begin(store, opening("q"), "r1")
    assert await store.claim(follow_up("z"), now=T0) == Busy(first)
    await store.completed(first, "a", now=T0 + 1)
    second = await begin(store, follow_up("z"), "r2", now=T0 + 2)
    assert await store.claim(follow_up("y"), now=T0 + 3) == Busy(second)
    assert (await store.claim(follow_up("z"), now=T0 + 3)) == Joined(second)


async def test_a_thread_is_busy_while_a_follow_up_is_being_sent(store: RunLedger) -> None:
    """Before its ids are known (our choice)."""
    first = await begin(store, opening("q"), "r1")
    await store.completed(first, "a", now=T0 + 1)
    intent = await store.claim(follow_up("z"), now=T0 + 2)
    assert isinstance(intent, Granted)
    assert isinstance(await store.claim(follow_up("y"), now=T0 + 2), Busy)
    latest = await store.latest("owner", "t", now=T0 + 2)
    assert latest is not None
    assert latest.run_id == "r1"


async def test_a_released_intent_leaves_no_trace(store: RunLedger) -> None:
    """The run before it is the latest again (our choice)."""
    first = await begin(store, opening("q"), "r1")
    first = await store.completed(first, "a", now=T0 + 1)
    intent = await store.claim(follow_up("z"), now=T0 + 2)
    await store.release(intent.record)
    assert await store.latest("owner", "t", now=T0 + 2) == first
    assert isinstance(await store.claim(follow_up("y"), now=T0 + 2), Granted)


async def test_releasing_a_started_or_unknown_run_changes_nothing(store: RunLedger) -> None:
    """Its ids are stored; it stays (our choice)."""
    run = await begin(store, opening("q"), "r")
    await store.release(run)
    await store.release(replace(run, key="unknown"))
    assert await store.find("owner", "t", "r", now=T0) == run


async def test_an_end_frees_the_thread_and_keeps_the_answer(store: RunLedger) -> None:
    """Bound to its run (our choice)."""
    run = await begin(store, opening("q"), "r")
    ended = await store.completed(run, "answer", now=T0 + 5)
    assert (ended.phase, ended.answer, ended.ended_at) == (Phase.COMPLETED, "answer", T0 + 5)
    assert await store.find("owner", "t", "r", now=T0 + 6) == ended
    assert isinstance(await store.claim(follow_up("z"), now=T0 + 6), Granted)


async def test_the_first_end_stays(store: RunLedger) -> None:
    """A late second reading could be another run's answer (our choice)."""
    run = await begin(store, opening("q"), "r")
    ended = await store.completed(run, "first", now=T0 + 5)
    assert await store.completed(run, "second", now=T0 + 6) == ended
    assert await store.failed(run, Failure.NO_END_SEEN, now=T0 + 6) == ended
    other = await begin(store, follow_up("z"), "r2", now=T0 + 7)
    failed = await store.failed(other, Failure.RUN_FAILED, now=T0 + 8)
    assert (failed.phase, failed.failure, failed.answer) == (Phase.FAILED, Failure.RUN_FAILED, None)
    assert await store.completed(other, "late", now=T0 + 9) == failed


async def test_the_end_of_a_run_that_is_not_remembered_is_returned_and_not_kept(store: RunLedger) -> None:
    """Its caller can be answered all the same (our choice)."""
    stranger = RunRecord("unknown", follow_up(""), T0, Delivery.HANDED_OVER, Phase.IN_PROGRESS, "t", "r")
    ended = await store.completed(stranger, "answer", now=T0 + 1)
    assert (ended.phase, ended.answer) == (Phase.COMPLETED, "answer")
    await store.delivered(ended, Delivery.DELIVERED, now=T0 + 1)
    assert await store.find("owner", "t", "r", now=T0 + 1) is None


async def test_an_answer_is_kept_for_its_time_and_its_run_for_longer(store: RunLedger) -> None:
    """An hour and a day by default (our choice)."""
    run = await begin(store, opening("q"), "r")
    await store.completed(run, "answer", now=T0 + 5)
    kept = await store.find("owner", "t", "r", now=T0 + 5 + 3_600)
    assert kept is not None
    assert kept.answer == "answer"
    later = await store.find("owner", "t", "r", now=T0 + 5 + 3_601)
    assert later is not None
    assert (later.phase, later.answer) == (Phase.COMPLETED, None)
    assert await store.find("owner", "t", "r", now=T0 + 86_401) is None
    assert await store.latest("owner", "t", now=T0 + 86_401) is None


async def test_retention_zero_returns_the_answer_once_and_keeps_none(new_store: NewStore) -> None:
    """For operators who may not keep content (our choice)."""
    store = RunLedger(new_store(RetentionPolicy(answer=0)))
    run = await begin(store, opening("q"), "r")
    assert (await store.completed(run, "answer", now=T0 + 5)).answer == "answer"
    kept = await store.find("owner", "t", "r", now=T0 + 5)
    assert kept is not None
    assert (kept.phase, kept.answer) == (Phase.COMPLETED, None)


async def test_who_waits_is_remembered(store: RunLedger) -> None:
    """A joiner who waits makes a handed-over run an awaited one (our choice)."""
    await begin(store, opening("q"), "r", awaited=False)
    joined = await store.claim(opening("q"), delivery=Delivery.HANDED_OVER, now=T0)
    assert joined.record.delivery is Delivery.HANDED_OVER
    assert (await store.awaited(joined.record, now=T0)).delivery is Delivery.AWAITED
    found = await store.find("owner", "t", "r", now=T0)
    assert found is not None
    assert found.delivery is Delivery.AWAITED
    ended = await store.completed(found, "a", now=T0 + 1)
    await store.delivered(ended, Delivery.DELIVERED, now=T0 + 1)
    await store.awaited(ended, now=T0 + 1)
    delivered = await store.find("owner", "t", "r", now=T0 + 1)
    assert delivered is not None
    assert delivered.delivery is Delivery.DELIVERED


async def test_an_answer_whose_sender_died_is_given_again(store: RunLedger) -> None:
    """Nobody said that it was sent; as long as its sender lives, that is to be heard of (our choice)."""
    run = await store.completed(await begin(store, follow_up("q"), "r"), "its own", now=T0 + 1)
    await store.sending(run, now=T0 + 2)
    met = await store.claim(follow_up("q"), now=T0 + 3)
    assert isinstance(met, Joined)
    assert [is_being_sent(met.record, T0 + after) for after in (3, 11.9, 12.1)] == [True, True, False]
    assert met.record.answer == "its own"
    await store.delivered(run, Delivery.DELIVERED, now=T0 + 3)
    assert isinstance(await store.claim(follow_up("q"), now=T0 + 3), Granted)


async def test_ids_that_may_not_have_reached_their_caller_lead_to_the_answer(store: RunLedger) -> None:
    """Once they have, the same question on a thread is a new one (our choice)."""
    for number, arrived in enumerate((False, True)):
        question = follow_up(f"q{number}")
        claim = await store.claim(question, delivery=Delivery.HANDING_OVER, now=T0)
        assert isinstance(claim, Granted)
        run = await store.started(claim.record, "t", f"r{number}", now=T0)
        assert not store.holds(run)
        if arrived:
            await store.handed_over(run, now=T0)
        await store.completed(run, "a", now=T0 + 1)
        again = await store.claim(question, now=T0 + 2)
        assert isinstance(again, Granted if arrived else Joined)


async def test_an_awaited_answer_is_given_again_until_it_is_delivered(store: RunLedger) -> None:
    """Then the same question is a new one (our choice)."""
    run = await store.completed(await begin(store, opening("q"), "r"), "a", now=T0 + 5)
    assert await store.claim(opening("q"), now=T0 + 6) == Joined(run)
    await store.delivered(run, Delivery.DELIVERED, now=T0 + 7)
    assert isinstance(await store.claim(opening("q"), now=T0 + 8), Granted)


async def test_an_unsure_delivery_counts_from_when_it_was_made(store: RunLedger) -> None:
    """Two minutes (our choice)."""
    run = await store.completed(await begin(store, opening("q"), "r"), "a", now=T0 + 5)
    await store.delivered(run, Delivery.UNSURE, now=T0 + 50)
    again = await store.claim(opening("q"), now=T0 + 170)
    assert isinstance(again, Joined)
    assert again.record.delivered_at == T0 + 50
    assert isinstance(await store.claim(opening("q"), now=T0 + 170.5), Granted)


async def test_contit_may_answer_with_another_thread_than_asked_for(store: RunLedger) -> None:
    """The run is on the thread that Contit names (assumed)."""
    claim = await store.claim(follow_up("q", "asked"), now=T0)
    await store.started(claim.record, "named", "r", now=T0)
    assert await store.latest("owner", "asked", now=T0) is None
    latest = await store.latest("owner", "named", now=T0)
    assert latest is not None
    assert latest.run_id == "r"


async def test_of_many_claims_at_once_one_is_granted(store: RunLedger) -> None:
    """Reading and writing is one step (our choice)."""
    granted: list[bool] = []

    async def claim(prompt: str) -> None:
        granted.append(isinstance(await store.claim(follow_up(prompt), now=T0), Granted))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(claim, f"q{number % 5}")
    assert sum(granted) == 1


async def test_the_order_on_a_thread_does_not_depend_on_whose_clock_is_ahead(new_store: NewStore) -> None:
    """A replica 8 s behind, or a clock that was set back (our choice)."""
    kept = new_store(RetentionPolicy())
    here, behind = RunLedger(kept), RunLedger(kept)
    await here.completed(await begin(here, opening("q"), "r1"), "first", now=T0 + 1)
    second = await begin(behind, follow_up("z"), "r2", now=T0 - 8)
    latest = await here.latest("owner", "t", now=T0 + 2)
    assert latest is not None
    assert latest.run_id == "r2"
    assert await here.claim(follow_up("y"), now=T0 + 2) == Busy(second)
    await behind.completed(second, "second", now=T0 - 7)
    third = await begin(behind, follow_up("y"), "r3", now=T0 - 6)
    assert (await here.claim(follow_up("x"), now=T0 + 3)).record == third


async def test_a_claim_whose_answer_was_lost_is_granted_when_it_is_made_again(new_store: NewStore) -> None:
    """A client library repeats what it has not heard of (our choice)."""
    kept = new_store(RetentionPolicy())
    intent = intent_to_start(opening("q"), delivery=Delivery.AWAITED, holder="h", held_until=T0 + 25, now=T0)
    granted = await kept.claim(intent, now=T0)
    assert isinstance(granted, Granted)
    assert await kept.claim(intent, now=T0 + 1) == Granted(granted.record)


async def test_a_start_that_died_is_not_forgotten_when_another_question_came_to_nothing(store: RunLedger) -> None:
    """Its own retry still says that it may run twice (our choice)."""
    await begin(store, opening("q"), "r1")
    run = await store.find("owner", "t", "r1", now=T0)
    assert run is not None
    await store.completed(run, "a", now=T0 + 1)
    assert isinstance(await store.claim(follow_up("died"), now=T0 + 2), Granted)
    other = await store.claim(follow_up("other"), now=T0 + 60)
    assert isinstance(other, Granted)
    assert not other.interrupted
    await store.release(other.record)
    retry = await store.claim(follow_up("died"), now=T0 + 61)
    assert isinstance(retry, Granted)
    assert retry.interrupted


async def test_an_ask_that_is_taken_back_is_remembered_and_no_other_one_of_its_run(new_store: NewStore) -> None:
    """By every process, in whatever order; the run goes on (our choice)."""
    kept = new_store(RetentionPolicy())
    here, there = RunLedger(kept), RunLedger(kept)
    run = await begin(here, opening("q"), "r")
    assert run.cancelled == ()
    await here.cancelled(run, 1_700_000_000_123, now=T0 + 1)
    await there.cancelled(run, 7, now=T0 + 1)
    await there.cancelled(run, 7, now=T0 + 2)
    found = await there.find("owner", "t", "r", now=T0 + 3)
    assert found is not None
    assert (found.phase, sorted(found.cancelled)) == (Phase.IN_PROGRESS, [7, 1_700_000_000_123])
    ended = await here.completed(found, "answer", now=T0 + 4)
    await here.cancelled(ended, 9, now=T0 + 5)  # too late
    found = await there.find("owner", "t", "r", now=T0 + 6)
    assert found is not None
    assert (found.answer, sorted(found.cancelled)) == ("answer", [7, 1_700_000_000_123])


async def test_a_run_that_was_seen_to_end_without_being_remembered_can_be_from_then_on(store: RunLedger) -> None:
    """As old as its ask, so that a later run on its thread stays the latest (our choice)."""
    later = await begin(store, opening("q"), "r2", now=T0)
    stranger = RunRecord("unknown", follow_up(""), T0 - 60, Delivery.HANDED_OVER, Phase.IN_PROGRESS, "t", "r1")
    await store.adopted(await store.completed(stranger, "answer", now=T0 + 1), now=T0 + 1)
    found = await store.find("owner", "t", "r1", now=T0 + 2)
    assert found is not None
    assert (found.phase, found.answer, found.started_at) == (Phase.COMPLETED, "answer", T0 - 60)
    assert await store.latest("owner", "t", now=T0 + 2) == later
    assert await store.find("owner", "t", "r1", now=T0 + 86_341) is None

"""Two processes on one store: who starts, who polls, and what becomes of the runs of one that was killed."""

from collections.abc import Iterator
from functools import partial

import anyio
import httpx
import pytest
from mcp_types import TextContent

from contit_mcp.exceptions import APITimeoutError, RateLimitError, RunTimeoutError, StartUnknownError
from contit_mcp.reports import RunReport
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase, RunRecord
from contit_mcp.runs.resilient import ResilientRunStore
from contit_mcp.runs.store import Change
from contit_mcp.server.results import answer_result, handle_result
from tests.durability.history import Call
from tests.durability.world import RETENTION, World
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, Stage, set_stage


@pytest.fixture
def world() -> Iterator[World]:
    """Two processes that can be killed, each with its memory, and the store that they share."""
    store = MemoryRunStore(retention=RETENTION)
    world = World(lambda: store)
    world.contit.lasts = 20.0
    yield world
    world.close()


def two_stages(contit: EchoContit | None = None) -> tuple[Stage, Stage]:
    """Two processes that live."""
    first = set_stage(contit)
    return first, set_stage(first.contit, first.store)


def answered(call: Call) -> str | None:
    """The answer that a call returned."""
    assert call.report is not None, call.error
    return call.report.response


async def leave(stage: Stage, prompt: str, *, after: float, thread_id: str | None = None) -> None:
    """Ask, and go away."""
    with anyio.move_on_after(after):
        await stage.assistant.ask(OWNER, prompt, thread_id, wait_seconds=45)


# --- who polls


def test_when_the_polling_process_dies_another_takes_over_within_15_seconds(world: World) -> None:
    """Its hold ends by itself (our choice)."""
    world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(7.0)
    second = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(1.0)
    world.kill(0)
    before = world.contit.requests[second.number, "status"]
    world.pass_time(15.0)
    assert world.contit.requests[second.number, "status"] > before
    assert answered(second) == "run_1 answers 'q'"
    assert len(world.history.runs) == 1


@pytest.mark.anyio
async def test_when_the_caller_of_the_polling_process_leaves_the_other_polls_at_once() -> None:
    """It lets go (our choice)."""
    first, second = two_stages(EchoContit(seconds=20))
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(leave, first, "q", after=5.0))
        await anyio.sleep(2.0)
        assert (await second.assistant.ask(OWNER, "q", wait_seconds=45)).response == answer_to("q")
    assert 20.0 <= anyio.current_time() - began < 22.0
    polls = [at - began for endpoint, at in first.contit.requests if endpoint == "status"]
    assert any(5.0 < at < 7.0 for at in polls)


@pytest.mark.anyio
async def test_a_caller_that_leaves_during_the_start_holds_up_nobody() -> None:
    """The start is completed, and then nobody here is at the run (our choice)."""
    first, second = two_stages(EchoContit(seconds=3, latency=0.5))
    began = anyio.current_time()
    await leave(first, "q", after=0.2)
    assert (await second.assistant.ask(OWNER, "q", wait_seconds=45)).response == answer_to("q")
    assert anyio.current_time() - began < 6
    assert first.contit.count("start") == 1


@pytest.mark.anyio
async def test_who_joins_asks_contit_once_while_the_other_process_polls() -> None:
    """It looks into the store for the end; one look when it joins is by design (our choice)."""
    alone = set_stage(EchoContit(seconds=20))
    await alone.assistant.ask(OWNER, "q", wait_seconds=45)
    first, second = two_stages(EchoContit(seconds=20))
    answers: list[str | None] = []

    async def ask(stage: Stage) -> None:
        answers.append((await stage.assistant.ask(OWNER, "q", wait_seconds=45)).response)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first)
        await anyio.sleep(2.0)
        tasks.start_soon(ask, second)
    assert answers == [answer_to("q")] * 2
    assert first.contit.count("status") == alone.contit.count("status") + 1
    assert first.contit.count("response") == 1


# --- the named window


@pytest.mark.parametrize("after", [0.06, 0.09, 0.1], ids=["accepted", "answered", "before its ids were stored"])
def test_a_crash_between_sending_a_start_and_storing_its_ids_starts_anew_and_says_so(
    world: World, after: float
) -> None:
    """The one window that cannot be closed: Contit has no idempotency key (documented)."""
    world.shared.seconds = 0.0 if after < 0.1 else 0.2
    world.contit.lasts = 10.0
    world.ask(0, OWNER, "q", None, 45.0)
    while not world.history.runs:
        world.pass_time(0.005)
    world.pass_time(after - 0.06)
    world.kill(0)
    (unknown,) = world.history.runs
    assert not unknown.stored
    asked = world.now
    retry = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(24.0)
    assert len(world.history.runs) == 1, "the intent stands for 25 s"
    world.pass_time(45.0)
    assert answered(retry) == "run_2 answers 'q'"
    assert retry.report is not None
    assert retry.report.maybe_twice
    assert world.history.runs[1].sent - asked < 25.5
    assert world.history.counts["the named window was hit, and the question asked again"] == 1


def test_a_retry_that_gives_up_before_the_intent_ends_has_started_nothing(world: World) -> None:
    """It is told to ask again with the same words (our choice)."""
    world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(0.06)
    world.kill(0)
    early = world.ask(1, OWNER, "q", None, 10.0)
    world.pass_time(26.0)
    assert isinstance(early.error, APITimeoutError)
    late = world.start(1, OWNER, "q", None, 10.0)
    world.pass_time(1.0)
    assert late.report is not None
    assert late.report.maybe_twice


@pytest.mark.parametrize("refusal", ["429", "503"])
def test_a_retry_that_is_refused_leaves_the_warning_to_the_next_one(world: World, refusal: str) -> None:
    """The run of the first may still exist (our choice)."""
    world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(0.06)
    world.kill(0)
    world.pass_time(26.0)
    world.contit.refusals += [refusal] * 4
    refused = world.ask(1, OWNER, "q", None, 1.0)
    world.pass_time(3.0)
    assert refused.error is not None
    world.contit.refusals.clear()
    again = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(30.0)
    assert again.report is not None
    assert again.report.maybe_twice


@pytest.mark.parametrize("result", [answer_result, handle_result])
def test_the_tool_says_that_the_question_may_have_run_twice(result: type) -> None:
    """In both halves of the result, whatever its state (our choice)."""
    for phase, response in ((Phase.COMPLETED, "a"), (Phase.IN_PROGRESS, None)):
        told = result(RunReport(phase, "t", "r", response=response, maybe_twice=True))
        assert "may have run it twice" in told.structured_content["next_step"]
        assert any("may have run it twice" in b.text for b in told.content if isinstance(b, TextContent))


def test_a_start_of_unknown_fate_is_not_sent_again_by_who_joined_it_in_another_process(world: World) -> None:
    """It is told the same; whoever asks after that is warned (our choice)."""
    world.contit.replies = 60.0
    first = world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(1.0)
    second = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(20.0)
    assert isinstance(first.error, StartUnknownError)
    assert isinstance(second.error, StartUnknownError)
    assert len(world.history.runs) == 1
    world.contit.replies = 0.05
    third = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(30.0)
    assert third.report is not None
    assert third.report.maybe_twice


# --- who starts


@pytest.mark.anyio
async def test_a_retry_put_off_for_more_than_5_seconds_joins_what_another_process_started_meanwhile() -> None:
    """Its intent would end before the start could be through, so it claims anew (our choice)."""
    first, second = two_stages(EchoContit(seconds=20))
    first.contit.instead("start", httpx.Response(429, headers={"Retry-After": "30"}))
    reports: list[RunReport] = []

    async def ask(stage: Stage, after: float) -> None:
        await anyio.sleep(after)
        reports.append(await stage.assistant.ask(OWNER, "q", wait_seconds=60))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first, 0.0)
        tasks.start_soon(ask, second, 26.0)  # the intent of the first has ended by then
    assert [report.response for report in reports] == [answer_to("q")] * 2
    assert first.contit.started("q") == 1
    assert sorted(report.joined for report in reports) == [False, True]


@pytest.mark.anyio
async def test_a_retry_put_off_for_more_than_5_seconds_is_sent_when_nobody_else_has_started() -> None:
    """Claimed anew, once (our choice)."""
    stage, _ = two_stages()
    stage.contit.instead("start", httpx.Response(429, headers={"Retry-After": "8"}))
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (report.response, report.maybe_twice) == (answer_to("q"), False)
    assert stage.contit.started("q") == 1


def test_a_refused_start_blocks_nobody_who_had_joined_it(world: World) -> None:
    """Its intent is forgotten everywhere, also in the memory of the process that joined (our choice)."""
    world.contit.refusals += ["429"] * 1
    world.contit.arrives = 1.0
    first = world.ask(0, OWNER, "q", None, 5.0)
    world.pass_time(0.5)
    second = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(4.0)
    assert isinstance(first.error, RateLimitError)
    assert len(world.history.runs) == 1
    world.pass_time(25.0)
    assert second.report is not None
    assert (second.report.response, second.report.maybe_twice) == ("run_1 answers 'q'", False)


@pytest.mark.anyio
async def test_a_caller_that_leaves_while_its_intent_is_being_stored_blocks_nobody() -> None:
    """The intent is forgotten, although nobody learnt that it was stored (our choice)."""
    slow, other = set_stage(store=_Slow()), None
    await leave(slow, "q", after=0.3)
    other = set_stage(slow.contit, slow.store)
    report = await other.assistant.ask(OWNER, "q", wait_seconds=10)
    assert (report.response, report.maybe_twice, report.joined) == (answer_to("q"), False, False)


class _Slow(MemoryRunStore):
    """Its answers take a while to come back."""

    async def claim(self, intent: RunRecord, *, now: float) -> Claim:
        claim = await super().claim(intent, now=now)
        await anyio.sleep(0.5)
        return claim


# --- whose answer


@pytest.mark.parametrize("kill", [True, False])
def test_runs_in_a_row_keep_their_own_answers_for_both_processes(world: World, kill: bool) -> None:
    """Whoever starts the next run on a thread keeps the answer of the one before (our choice)."""
    world.contit.lasts = 5.0
    opening = world.start(0, OWNER, "first", None, 45.0)
    world.pass_time(1.0)
    assert opening.report is not None
    thread = opening.report.thread_id
    for number, prompt in enumerate(["second", "third"]):
        world.start(number, OWNER, prompt, thread, 45.0)
        world.pass_time(10.0)
    if kill:
        world.kill(0)
    for index in (1, 0, 2):
        run = world.history.runs[index]
        call = world.response(1, OWNER, thread, run.run_id, 45.0)
        world.pass_time(10.0)
        assert answered(call) == run.answer


@pytest.mark.anyio
async def test_the_answer_goes_to_the_same_question_when_its_caller_left_while_it_was_being_noted() -> None:
    """A delivery that was noted and not made is taken back (our choice)."""
    store = _SlowToNote()
    stage = set_stage(EchoContit(seconds=3), store)
    first = await stage.assistant.ask(OWNER, "opening", wait_seconds=45)
    store.seconds = 1.0
    await leave(stage, "q", after=3.7, thread_id=first.thread_id)
    store.seconds = 0.0
    again = await stage.assistant.ask(OWNER, "q", first.thread_id, wait_seconds=45)
    assert again.response == answer_to("q")
    assert stage.contit.started("q") == 1


class _SlowToNote(MemoryRunStore):
    """What happens to an ended run takes a while to come back."""

    seconds = 0.0

    async def change(self, record: RunRecord, change: Change, *, now: float) -> RunRecord:
        after = await super().change(record, change, now=now)
        if after.delivered_at is not None:
            await anyio.sleep(self.seconds)
        return after


def test_the_run_limit_is_counted_from_the_start_also_after_a_restart(world: World) -> None:
    """The start's time is kept with the run (our choice)."""
    world.contit.lasts = 1e6
    started = world.start(0, OWNER, "endless", None, 45.0)
    world.pass_time(1_000.0)
    world.kill(0)
    world.restart(0)
    assert started.report is not None
    ids = (started.report.thread_id, str(started.report.run_id))
    going = world.response(0, OWNER, *ids, 10.0)
    world.pass_time(700.0)
    assert going.report is not None
    assert going.report.phase is Phase.IN_PROGRESS
    assert going.report.elapsed_seconds == pytest.approx(1_010.0, abs=1)
    world.history.strict = False  # its model knows no limit
    late = world.response(0, OWNER, *ids, 240.0)
    world.history.wrongs.clear()
    with pytest.raises(AssertionError, match="RunTimeoutError"):
        world.pass_time(240.0)
    world.history.wrongs.clear()
    assert isinstance(late.error, RunTimeoutError)
    assert world.now < 1_000 + 2_000


# --- a store that is lost


@pytest.mark.anyio
async def test_a_store_that_comes_back_empty_loses_no_run_that_a_process_knows() -> None:
    """The same question joins, the ids work, the thread is busy; the store is told again (our choice)."""
    server = _Server()
    contit = EchoContit(seconds=20)
    first, second = (set_stage(contit, ResilientRunStore(server, MemoryRunStore())) for _ in range(2))
    started = await first.assistant.ask(OWNER, "q", wait_seconds=5)
    server.lose_everything()
    same = await first.assistant.ask(OWNER, "q", wait_seconds=1)
    assert (same.run_id, same.joined) == (started.run_id, True)
    elsewhere = await second.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (elsewhere.run_id, elsewhere.response) == (started.run_id, answer_to("q"))
    assert contit.count("start") == 1


@pytest.mark.anyio
async def test_an_answer_that_is_owed_is_given_although_the_store_came_back_empty() -> None:
    """Memory has the run as going, the store learns of it and of its end, and decides again (our choice)."""
    server = _Server()
    stage = set_stage(EchoContit(seconds=3), ResilientRunStore(server, MemoryRunStore()))
    started = await stage.assistant.ask(OWNER, "q", wait_seconds=1)
    server.lose_everything()
    await anyio.sleep(5)
    again = await stage.assistant.ask(OWNER, "q", wait_seconds=10)
    assert (again.run_id, again.response) == (started.run_id, answer_to("q"))


class _Server(MemoryRunStore):
    """A store that several processes reach, and that can lose everything."""

    def lose_everything(self) -> None:
        for part in (self._records, self._slots, self._answers):
            part.clear()

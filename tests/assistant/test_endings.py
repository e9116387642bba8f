"""How runs end: answers that cannot be read, clocks that are wrong, and how ends are counted."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.assistant.service import Assistant
from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Failure, Phase, RunRecord
from contit_mcp.runs.store import Transition
from contit_mcp.telemetry.call_stats import Listener
from tests.echo_contit import EchoContit, answer_to
from tests.stage import EPOCH, OWNER, STEADY, Stage, set_stage, wall_clock

pytestmark = pytest.mark.anyio

UNREADABLE = httpx.Response(200, html="<html><h1>Welcome</h1></html>")
IDS = ("thread_1", "run_2")
LIMIT_60 = replace(STEADY, run_seconds=60)


def unreadable_stage(polling: PollPolicy = STEADY) -> Stage:
    """Return a stage on a Contit that calls runs completed and answers `response` with HTML."""
    stage = set_stage(polling=polling)
    stage.contit.instead("response", *[UNREADABLE] * 1_000)
    return stage


async def test_all_callers_that_wait_get_the_error_of_an_unreadable_answer_before_their_wait_ends() -> None:
    stage, failed = unreadable_stage(), []

    async def ask() -> None:
        with pytest.raises(errors.AnswerUnreadableError) as caught:
            await stage.ask("q")
        failed.append(caught.value.run_id)

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    assert failed == ["run_2"] * 20
    assert anyio.current_time() - began < 15


@pytest.mark.parametrize(("prompt", "thread_id"), [("q", None), ("next", "thread_1")])
async def test_after_an_unreadable_answer_its_question_is_asked_anew_and_its_thread_is_free(
    prompt: str, thread_id: str | None
) -> None:
    stage = unreadable_stage()
    with pytest.raises(errors.AnswerUnreadableError):
        await stage.ask("q")
    stage.contit.replies["response"] = [UNREADABLE] * 4  # for the last attempts to read the first answer
    report = await stage.ask(prompt, thread_id)
    assert report.response == answer_to(prompt)
    assert report.run_id != "run_2"
    with pytest.raises(errors.AnswerUnavailableError):
        await stage.assistant.response(OWNER, *IDS, wait_seconds=45)


async def test_a_run_whose_answer_stays_unreadable_ends_at_the_limit() -> None:
    stage = unreadable_stage(LIMIT_60)
    with pytest.raises(errors.AnswerUnreadableError):
        await stage.ask("q")
    snapshot = await stage.assistant.snapshot(OWNER, *IDS, asked_at_ms=int(wall_clock() * 1000))
    assert isinstance(snapshot.error, errors.AnswerUnreadableError)
    await anyio.sleep(60)
    report = await stage.assistant.status(OWNER, *IDS)
    assert (report.phase, report.failure) == (Phase.FAILED, Failure.NO_ANSWER)


# --- clocks


class ClockedView(MemoryRunStore):
    """A store as another process uses it: with a clock of its own for transitions."""

    def __init__(self, store: MemoryRunStore, clock: Callable[[], float]) -> None:
        self.__dict__.update(vars(store))
        self.now = clock

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        return await super().change(record, lambda run, _: transition(run, self.now()))


@pytest.mark.parametrize("ahead", [7_200.0, 86_400.0 * 365, -86_400.0])
async def test_setting_the_clock_ends_no_run_of_this_process(ahead: float) -> None:
    offset, reports = [0.0], []
    stage = set_stage(EchoContit(seconds=20), MemoryRunStore(now=lambda: wall_clock() + offset[0]))

    async def ask(number: int) -> None:
        reports.append(await stage.ask(f"q{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(ask, number)
        await anyio.sleep(10)
        offset[0] = ahead
    assert sorted(report.response or "" for report in reports) == [answer_to(f"q{number}") for number in range(4)]
    assert [report.elapsed_seconds for report in reports] == [pytest.approx(20.0, abs=1)] * 4
    assert len(stage.contit.runs) == 4


@pytest.mark.parametrize("ahead", [7_200.0, -3_600.0])
async def test_a_replica_whose_clock_is_wrong_ends_no_run_of_another(ahead: float) -> None:
    store = MemoryRunStore(now=wall_clock)
    first = set_stage(EchoContit(seconds=20), store)
    second = set_stage(first.contit, ClockedView(store, lambda: wall_clock() + ahead))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, "q")
        await anyio.sleep(5)
        assert (await second.ask("q")).response == answer_to("q")
    assert len(first.contit.runs) == 1


async def test_a_new_process_gives_up_a_run_by_the_wall_clock_only_three_hours_beyond_the_limit() -> None:
    """Without that, a command that runs for seconds could never free a thread."""
    first = set_stage(EchoContit(seconds=1e9))
    run = await first.start("q")
    await anyio.sleep(1_800)
    assert (await first.second().status(run)).phase is Phase.IN_PROGRESS
    await anyio.sleep(10_800)
    assert (await first.second().status(run)).failure is Failure.NO_END_SEEN


# --- how ends are counted


class Ends(Listener):
    def __init__(self) -> None:
        self.ends: list[tuple[str, float | None]] = []

    def run_ended(self, end: str, seconds: float | None) -> None:
        self.ends.append((end, None if seconds is None else round(seconds)))


def counted(stage: Stage) -> tuple[Assistant, Ends]:
    """Return another process on the stage's store, and the ends that it counts."""
    ends = Ends()
    return Assistant(stage.client, stage.store, polling=LIMIT_60, listener=ends), ends


async def test_each_run_is_counted_once_by_its_end_however_it_was_asked() -> None:
    stage = set_stage(EchoContit(seconds=10, end_words={"bad": "failed"}, durations={"endless": 1e9}))
    assistant, ends = counted(stage)
    await assistant.ask(OWNER, "asked", wait_seconds=45)
    started = await assistant.start(OWNER, "started", wait_seconds=45)
    for _ in range(3):
        await assistant.status(OWNER, started.thread_id, str(started.run_id), wait_seconds=30)
    task = await assistant.ask(OWNER, "task", wait_seconds=45, answer_seconds=2)
    await anyio.sleep(20)
    for _ in range(3):
        await assistant.snapshot(OWNER, task.thread_id, str(task.run_id), asked_at_ms=int(EPOCH * 1000))
    with pytest.raises(errors.RunFailedError):
        await assistant.ask(OWNER, "bad", wait_seconds=45)
    with pytest.raises(errors.RunTimeoutError):
        await assistant.ask(OWNER, "endless", wait_seconds=100)
    completed = [("completed", 10), ("completed", 10), ("completed", 22)]  # the first snapshot is taken after 22 s
    assert ends.ends == [*completed, ("run_failed", 10), ("no_end_seen", 60)]


async def test_an_end_is_counted_by_one_process_and_not_where_the_run_is_not_stored() -> None:
    stage = set_stage(EchoContit(seconds=10))
    (first, ends_of_first), (second, ends_of_second) = counted(stage), counted(stage)
    async with anyio.create_task_group() as tasks:
        for assistant in (first, second):
            tasks.start_soon(partial(assistant.ask, OWNER, "q", wait_seconds=45))
    assert len(ends_of_first.ends + ends_of_second.ends) == 1
    stranger, ends = counted(set_stage(stage.contit))  # each of its polls would count the run again
    for _ in range(3):
        await stranger.response(OWNER, *IDS, wait_seconds=10)
    assert ends.ends == []

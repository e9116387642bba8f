"""How runs end: answers that cannot be read, clocks that are wrong, and the count of ends."""

from collections.abc import Callable
from functools import partial

import anyio
import httpx
import pytest

from contit_mcp.assistant.service import Assistant
from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.errors import (
    AnswerUnavailableError,
    AnswerUnreadableError,
    APIResponseValidationError,
    RunFailedError,
    RunTimeoutError,
)
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Failure, Phase
from contit_mcp.runs.store import RetentionPolicy
from contit_mcp.telemetry.call_stats import Listener
from tests.echo_contit import EchoContit, answer_to
from tests.stage import EPOCH, OWNER, STEADY, Stage, set_stage, wall_clock

pytestmark = pytest.mark.anyio

UNREADABLE = {
    "null": httpx.Response(200, json={"response": None}),
    "HTML": httpx.Response(200, html="<html><h1>Welcome</h1></html>"),
    "no JSON": httpx.Response(200, text="The answer is 12."),
    "missing": httpx.Response(200, json={"answer": "12"}),
    "empty object": httpx.Response(200, json={}),
    "empty body": httpx.Response(200),
    "number": httpx.Response(200, json={"response": 12}),
    "list": httpx.Response(200, json={"response": ["12"]}),
    "object": httpx.Response(200, json={"response": {"text": "12"}}),
    "boolean": httpx.Response(200, json={"response": True}),
    "top-level list": httpx.Response(200, json=["12"]),
    "top-level text": httpx.Response(200, json="12"),
    "cut off": httpx.Response(200, content=b'{"response": "The ans'),
    "not UTF-8": httpx.Response(200, content=b'{"response": "\xff\xfe"}'),
    "204": httpx.Response(204),
}


def unreadable_stage(reply: httpx.Response, *, seconds: float = 3.0, polling: PollPolicy | None = None) -> Stage:
    """A Contit that calls runs completed and cannot tell their answers."""
    stage = set_stage(EchoContit(seconds=seconds), polling=polling)
    stage.contit.instead("response", *[reply] * 1_000)
    return stage


@pytest.mark.parametrize("reply", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_unreadable_answer_is_the_same_error_from_all_calls_and_readable_later(reply: httpx.Response) -> None:
    stage = unreadable_stage(reply)
    began = anyio.current_time()
    with pytest.raises(AnswerUnreadableError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert anyio.current_time() - began < 15
    ids = ("thread_1", "run_2")
    assert (caught.value.thread_id, caught.value.run_id) == ids
    assert isinstance(caught.value.__cause__, APIResponseValidationError)
    with pytest.raises(AnswerUnreadableError):
        await stage.assistant.response(OWNER, *ids, wait_seconds=45)
    with pytest.raises(AnswerUnreadableError):
        await stage.assistant.status(OWNER, *ids)
    snapshot = await stage.assistant.snapshot(OWNER, *ids, asked_at_ms=int(wall_clock() * 1000))
    assert isinstance(snapshot.failure, AnswerUnreadableError)
    stage.contit.replies.clear()
    report = await stage.assistant.response(OWNER, *ids, wait_seconds=45)
    assert report.response == answer_to("q")


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(500),
        httpx.Response(502, html="<html>"),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(429),
        httpx.Response(429, headers={"Retry-After": "1"}),
        httpx.ReadError("x"),
        httpx.ReadTimeout("x"),
        httpx.ConnectError("x"),
        httpx.RemoteProtocolError("x"),
    ],
)
async def test_a_passing_fault_when_the_answer_is_read_leaves_the_run_in_progress(
    reply: httpx.Response | Exception,
) -> None:
    stage = set_stage()
    stage.contit.instead("response", *[reply] * 1_000)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert report.phase is Phase.IN_PROGRESS
    stage.contit.replies.clear()
    assert (await stage.assistant.response(OWNER, "thread_1", "run_2", wait_seconds=30)).response == answer_to("q")


async def test_everyone_who_waits_is_told_of_an_unreadable_answer_at_once() -> None:
    stage, told = unreadable_stage(UNREADABLE["HTML"]), 0

    async def ask() -> None:
        nonlocal told
        with pytest.raises(AnswerUnreadableError):
            await stage.assistant.ask(OWNER, "q", wait_seconds=45)
        told += 1

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    assert told == 20
    assert anyio.current_time() - began < 15


async def test_the_same_question_is_asked_anew_after_an_unreadable_answer() -> None:
    stage = unreadable_stage(UNREADABLE["null"])
    with pytest.raises(AnswerUnreadableError):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    stage.contit.replies["response"] = [UNREADABLE["null"]] * 4  # what is left for the run that is given up
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (report.response, report.run_id) == (answer_to("q"), "run_4")


async def test_an_unreadable_answer_does_not_keep_its_thread_busy() -> None:
    stage = unreadable_stage(UNREADABLE["null"])
    with pytest.raises(AnswerUnreadableError):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    stage.contit.replies["response"] = [UNREADABLE["null"]] * 4
    report = await stage.assistant.ask(OWNER, "next", "thread_1", wait_seconds=45)
    assert report.response == answer_to("next")
    with pytest.raises(AnswerUnavailableError):
        await stage.assistant.response(OWNER, "thread_1", "run_2", wait_seconds=45)


async def test_a_run_whose_answer_stays_unreadable_ends_at_the_limit() -> None:
    stage = unreadable_stage(UNREADABLE["missing"], polling=PollPolicy(schedule=STEADY, run_seconds=60))
    with pytest.raises(AnswerUnreadableError):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    await anyio.sleep(60)
    report = await stage.assistant.status(OWNER, "thread_1", "run_2")
    assert (report.phase, report.failure) == (Phase.FAILED, Failure.NO_ANSWER)


async def test_an_answer_that_is_no_longer_stored_and_cannot_be_read_is_that_error_too() -> None:
    stage = set_stage(retention=RetentionPolicy(answer=0))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    stage.contit.instead("response", *[UNREADABLE["HTML"]] * 10)
    with pytest.raises(AnswerUnreadableError):
        await stage.assistant.response(OWNER, zero.thread_id, zero.run_id, wait_seconds=45)


# --- clocks


class SetClock:
    """A wall clock that someone sets."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return wall_clock() + self.ahead


def clock_stage(clock: Callable[[], float], contit: EchoContit | None = None, shared: Stage | None = None) -> Stage:
    """A process with that clock; on the store of another one, if given."""
    store = MemoryRunStore(now=clock) if shared is None else ClockedView(shared.store, clock)
    return set_stage(contit or EchoContit(seconds=20), store)  # type: ignore[arg-type]


class ClockedView:
    """Another process's view of a store: its transitions have its own clock."""

    def __init__(self, store: object, clock: Callable[[], float]) -> None:
        self._store = store
        self.now = clock

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def change(self, record: object, transition: Callable[[object, float], object]) -> object:
        change = self._store.change  # type: ignore[attr-defined]
        return await change(record, lambda run, _: transition(run, self.now()))


@pytest.mark.parametrize("ahead", [3_600.0, 7_200.0, 86_400.0, 86_400.0 * 365, -3_600.0, -86_400.0])
async def test_a_clock_that_is_set_ends_no_run_of_this_process(ahead: float) -> None:
    clock = SetClock()
    stage, reports = clock_stage(clock), []

    async def ask(number: int) -> None:
        reports.append(await stage.assistant.ask(OWNER, f"q{number}", wait_seconds=45))

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(ask, number)
        await anyio.sleep(10)
        clock.ahead = ahead
    assert sorted(report.response or "" for report in reports) == [answer_to(f"q{number}") for number in range(4)]
    assert [report.elapsed_seconds for report in reports] == [pytest.approx(20.0, abs=1)] * 4
    assert len(stage.contit.runs) == 4


@pytest.mark.parametrize("ahead", [3_600.0, 7_200.0, -3_600.0])
async def test_a_replica_whose_clock_is_wrong_ends_no_run_of_another(ahead: float) -> None:
    first = clock_stage(wall_clock)
    second = clock_stage(lambda: wall_clock() + ahead, first.contit, first)
    reports = []

    async def ask(stage: Stage, after: float) -> None:
        await anyio.sleep(after)
        reports.append(await stage.assistant.ask(OWNER, "q", wait_seconds=45))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first, 0.0)
        tasks.start_soon(ask, second, 5.0)
    assert [report.response for report in reports] == [answer_to("q")] * 2
    assert len(first.contit.runs) == 1


async def test_another_processs_run_is_given_up_by_the_wall_clock_only_far_beyond_the_limit() -> None:
    """Otherwise a command that runs for seconds could never free a thread."""
    first = set_stage(EchoContit(seconds=1e9))
    run = await first.assistant.start(OWNER, "q", wait_seconds=45)
    ids = (run.thread_id, str(run.run_id))
    await anyio.sleep(1_800)
    second = set_stage(first.contit, first.store)
    assert (await second.assistant.status(OWNER, *ids)).phase is Phase.IN_PROGRESS
    await anyio.sleep(10_800)
    third = set_stage(first.contit, first.store)
    assert (await third.assistant.status(OWNER, *ids)).failure is Failure.NO_END_SEEN


# --- the count


class Ends(Listener):
    """A listener that writes down each end, and counts what is under way."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, float | None]] = []
        self.waited_for = self.polled = 0

    def run_ended(self, end: str, seconds: float | None) -> None:
        self.ends.append((end, None if seconds is None else round(seconds)))

    def runs_waited_for(self, change: int) -> None:
        self.waited_for += change

    def runs_polled(self, change: int) -> None:
        self.polled += change


def counted(stage: Stage) -> tuple[Assistant, Ends]:
    """Another process on the stage's store, whose ends are counted."""
    ends = Ends()
    polling = PollPolicy(schedule=STEADY, run_seconds=60)
    return Assistant(stage.client, stage.store, polling=polling, listener=ends), ends


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
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(lambda: assistant.ask(OWNER, "crowd", wait_seconds=45))
    with pytest.raises(RunFailedError):
        await assistant.ask(OWNER, "bad", wait_seconds=45)
    with pytest.raises(RunTimeoutError):
        await assistant.ask(OWNER, "endless", wait_seconds=100)
    assert [end for end, _ in ends.ends] == ["completed"] * 4 + ["run_failed", "no_end_seen"]
    assert [seconds for _, seconds in ends.ends] == [10, 10, 22, 10, 10, 60]


async def test_an_end_is_counted_by_the_process_that_stored_it() -> None:
    stage = set_stage(EchoContit(seconds=10))
    first, ends_of_first = counted(stage)
    second, ends_of_second = counted(stage)
    async with anyio.create_task_group() as tasks:
        for assistant in (first, second):
            tasks.start_soon(partial(assistant.ask, OWNER, "q", wait_seconds=45))
    assert len(ends_of_first.ends + ends_of_second.ends) == 1


async def test_a_run_that_was_not_started_here_and_is_not_stored_is_not_counted() -> None:
    """Each look at it would count it again."""
    stage = set_stage(EchoContit(seconds=1))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    assistant, ends = counted(set_stage(stage.contit))
    for _ in range(3):
        await assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=10)
    assert ends.ends == []

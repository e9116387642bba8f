"""Status and response: of runs in flight, ended, replaced and not remembered."""

import anyio
import httpx
import pytest

from contit_mcp.assistant.reports import Observer
from contit_mcp.errors import (
    AnswerUnavailableError,
    APITimeoutError,
    InternalServerError,
    InvalidArgumentError,
    RunNotFoundError,
    RunUnreachableError,
    ThreadBusyError,
)
from contit_mcp.runs.record import Failure, Phase
from contit_mcp.runs.store import RetentionPolicy
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, set_stage

pytestmark = pytest.mark.anyio


class Notes(Observer):
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def started(self, thread_id: str, run_id: str) -> None:
        """Note the ids."""
        self.heard.append(f"{thread_id}/{run_id}")

    def status(self, word: str) -> None:
        """Note the word."""
        self.heard.append(word)


async def test_status_tells_where_a_run_stands() -> None:
    """One question, answered at once (documented)."""
    stage = set_stage(EchoContit(seconds=10))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    assert (await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))).phase is Phase.IN_PROGRESS
    await anyio.sleep(10)
    report = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))
    assert (report.phase, report.response) == (Phase.COMPLETED, None)


async def test_status_with_a_wait_answers_as_soon_as_the_run_ends() -> None:
    stage = set_stage(EchoContit(seconds=10))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    began = anyio.current_time()
    early = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), wait_seconds=4)
    assert early.phase is Phase.IN_PROGRESS
    assert anyio.current_time() - began == pytest.approx(4)
    report = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), wait_seconds=60)
    assert (report.phase, anyio.current_time() - began < 11) == (Phase.COMPLETED, True)


async def test_status_reports_a_failed_run_as_a_result() -> None:
    stage = set_stage(EchoContit(seconds=0, end_words={"q": "failed"}))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    report = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))
    assert (report.phase, report.failure) == (Phase.FAILED, Failure.RUN_FAILED)


async def test_status_of_an_unknown_run_is_not_found() -> None:
    """404 (documented)."""
    stage = set_stage()
    with pytest.raises(RunNotFoundError):
        await stage.assistant.status(OWNER, "thread_x", "run_x")
    assert stage.contit.count("status") == 1


async def test_status_tells_a_fault_of_contit_as_an_error() -> None:
    """It has nothing else to say."""
    stage = set_stage()
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    stage.contit.instead("status", *[httpx.Response(500)] * 20)
    with pytest.raises(InternalServerError):
        await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))


async def test_status_of_an_ended_run_asks_contit_nothing() -> None:
    stage = set_stage()
    run = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    requests = len(stage.contit.requests)
    assert (await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))).phase is Phase.COMPLETED
    assert len(stage.contit.requests) == requests


async def test_status_while_somebody_here_waits_asks_contit_nothing() -> None:
    stage = set_stage(EchoContit(seconds=20))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: stage.assistant.ask(OWNER, "q", wait_seconds=45))
        await anyio.sleep(0.6)
        polls = stage.contit.count("status")
        report = await stage.assistant.status(OWNER, "thread_1", "run_2")
        assert (report.phase, stage.contit.count("status")) == (Phase.IN_PROGRESS, polls)


async def test_response_of_an_earlier_run_stays_its_own() -> None:
    """Contit itself would give the newer one (documented: no run id)."""
    stage = set_stage()
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await stage.assistant.ask(OWNER, "one", zero.thread_id, wait_seconds=45)
    report = await stage.assistant.response(OWNER, zero.thread_id, zero.run_id, wait_seconds=45)
    assert report.response == answer_to("zero")
    assert report.elapsed_seconds == pytest.approx(3.0)  # how long it ran, not how long ago
    assert (report.deduplicated, report.age_seconds) == (False, None)


async def test_an_answer_that_was_not_kept_is_never_replaced_by_a_newer_one() -> None:
    stage = set_stage(retention=RetentionPolicy(answer=0))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    assert zero.response == answer_to("zero")
    latest = await stage.assistant.response(OWNER, zero.thread_id, zero.run_id, wait_seconds=45)
    assert latest.response == answer_to("zero")  # still the thread's latest
    await stage.assistant.ask(OWNER, "one", zero.thread_id, wait_seconds=45)
    with pytest.raises(AnswerUnavailableError) as caught:
        await stage.assistant.response(OWNER, zero.thread_id, zero.run_id, wait_seconds=45)
    assert "later run" in caught.value.message
    assert (caught.value.thread_id, caught.value.run_id) == (zero.thread_id, zero.run_id)


async def test_an_answer_too_old_to_be_kept_is_read_again_while_it_is_the_latest() -> None:
    stage = set_stage()
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await anyio.sleep(3_601)
    reads = stage.contit.count("response")
    report = await stage.assistant.response(OWNER, zero.thread_id, zero.run_id, wait_seconds=45)
    assert (report.response, stage.contit.count("response")) == (answer_to("zero"), reads + 1)


async def test_a_run_that_we_do_not_remember_is_waited_for_and_answered() -> None:
    stage = set_stage(EchoContit(seconds=10))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    fresh = set_stage(stage.contit)
    report = await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=45)
    assert (report.response, report.elapsed_seconds) == (answer_to("q"), None)


async def test_a_run_that_we_do_not_remember_is_refused_when_another_run_is_known_on_its_thread() -> None:
    """The thread's answer could be the other run's."""
    stage = set_stage()
    old = await stage.assistant.ask(OWNER, "old", wait_seconds=45)
    fresh = set_stage(stage.contit)
    await fresh.assistant.ask(OWNER, "new", old.thread_id, wait_seconds=45)
    with pytest.raises(AnswerUnavailableError):
        await fresh.assistant.response(OWNER, old.thread_id, old.run_id, wait_seconds=45)


async def test_a_thread_that_we_do_not_remember_answers_with_its_latest() -> None:
    """The documented endpoint (documented)."""
    stage = set_stage()
    old = await stage.assistant.ask(OWNER, "old", wait_seconds=45)
    report = await set_stage(stage.contit).assistant.response(OWNER, old.thread_id, wait_seconds=45)
    assert (report.phase, report.response) == (Phase.COMPLETED, answer_to("old"))
    assert (report.thread_id, report.run_id) == (old.thread_id, None)


@pytest.mark.parametrize("faults", [1, 50])
async def test_a_fault_at_the_first_question_about_an_unremembered_run_is_told_when_it_lasts(faults: int) -> None:
    stage = set_stage()
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    fresh = set_stage(stage.contit)
    fresh.contit.instead("status", *[httpx.Response(503)] * faults)
    if faults == 1:
        report = await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=45)
        assert report.response == answer_to("q")
    else:
        with pytest.raises(InternalServerError):
            await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=45)


async def test_a_foreign_owner_does_not_see_what_is_remembered() -> None:
    stage = set_stage()
    run = await stage.assistant.ask("a", "q", wait_seconds=45)
    requests = len(stage.contit.requests)
    await stage.assistant.status("b", run.thread_id, str(run.run_id))
    assert len(stage.contit.requests) > requests


@pytest.mark.parametrize("bad", ["", "..", "a\nb", "x" * 257, "nul\x00"])
async def test_ids_that_cannot_be_ids_are_refused_before_any_request(bad: str) -> None:
    stage = set_stage()
    with pytest.raises(InvalidArgumentError, match="thread_id"):
        await stage.assistant.ask(OWNER, "q", bad, wait_seconds=45)
    with pytest.raises(InvalidArgumentError, match="thread_id"):
        await stage.assistant.status(OWNER, bad, "run")
    with pytest.raises(InvalidArgumentError, match="run_id"):
        await stage.assistant.response(OWNER, "thread", bad, wait_seconds=45)
    with pytest.raises(InvalidArgumentError, match="thread_id"):
        await stage.assistant.response(OWNER, bad, wait_seconds=45)
    assert stage.contit.requests == []


async def test_an_unremembered_run_that_goes_on_stays_unremembered() -> None:
    stage = set_stage(EchoContit(seconds=100))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    fresh = set_stage(stage.contit)
    report = await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=5)
    assert (report.phase, report.run_id, report.elapsed_seconds) == (Phase.IN_PROGRESS, run.run_id, None)
    fresh.contit.instead("status", httpx.Response(403))
    with pytest.raises(RunUnreachableError):
        await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=5)


async def test_a_status_without_a_wait_asks_once() -> None:
    stage, notes = set_stage(EchoContit(seconds=100)), Notes()
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    began = anyio.current_time()
    await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), observer=notes)
    assert (stage.contit.count("status"), anyio.current_time() - began) == (1, 0)
    assert notes.heard == [f"{run.thread_id}/{run.run_id}"]
    await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), wait_seconds=1)
    assert anyio.current_time() - began == pytest.approx(1)


async def test_a_wait_shorter_than_contits_round_trips_still_sees_the_end() -> None:
    """Or each call would be cut before it knows."""
    stage = set_stage(EchoContit(seconds=3, latency=0.6))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=10)
    await anyio.sleep(100)
    report = await stage.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=1)
    assert report.response == answer_to("q")


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_slow_contit_does_not_stretch_a_short_wait_for_long(remembered: bool) -> None:
    stage = set_stage(EchoContit(seconds=100))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=10)
    await anyio.sleep(5)
    other = stage if remembered else set_stage(stage.contit)
    other.contit.latency = 19
    began = anyio.current_time()
    if remembered:
        report = await other.assistant.status(OWNER, run.thread_id, str(run.run_id))
        assert report.phase is Phase.IN_PROGRESS
    else:
        with pytest.raises(APITimeoutError):
            await other.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=5)
        with pytest.raises(APITimeoutError):
            await other.assistant.response(OWNER, run.thread_id, wait_seconds=0)
    assert anyio.current_time() - began < 17


async def test_a_start_is_not_sent_when_its_turn_came_too_late_for_it() -> None:
    """It could not be cut short and would outlast the caller."""
    stage = set_stage(EchoContit(durations={"long": 23}))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await stage.assistant.start(OWNER, "long", zero.thread_id, wait_seconds=45)
    with pytest.raises(ThreadBusyError):
        await stage.assistant.ask(OWNER, "late", zero.thread_id, wait_seconds=25)
    assert stage.contit.started("late") == 0
    assert (await stage.assistant.ask(OWNER, "late", zero.thread_id, wait_seconds=25)).response == answer_to("late")


async def test_an_answer_that_another_run_replaced_while_it_was_read_is_refused() -> None:
    """Contit's response is the thread's (documented)."""
    stage = set_stage(EchoContit(seconds=0.1), retention=RetentionPolicy(answer=10))
    first = await stage.assistant.ask(OWNER, "one", wait_seconds=45)
    await anyio.sleep(20)
    stage.contit.instead("response", httpx.Response(503), httpx.Response(503))
    errors: list[AnswerUnavailableError] = []

    async def read() -> None:
        try:
            await stage.assistant.response(OWNER, first.thread_id, first.run_id, wait_seconds=45)
        except AnswerUnavailableError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.sleep(0.1)
        await stage.assistant.ask(OWNER, "two", first.thread_id, wait_seconds=45)
    assert len(errors) == 1


async def test_a_run_that_ended_unseen_is_not_joined_as_if_it_were_going_on() -> None:
    stage = set_stage()
    first = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    await anyio.sleep(5 * 3_600)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert report.run_id != first.run_id
    assert (report.deduplicated, report.age_seconds) == (False, None)


async def test_an_awaited_answer_that_came_unseen_is_given_with_its_age() -> None:
    stage = set_stage(EchoContit(seconds=60))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=20)
    await anyio.sleep(1_000)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=20)
    assert report.run_id == first.run_id
    assert report.age_seconds == pytest.approx(1_020, abs=1)

"""An ask or a start: its answer, its handle, and every way in which a start can fail."""

import anyio
import httpx
import pytest

from contit_mcp.assistant.reports import Observer
from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.errors import (
    AnswerUnavailableError,
    APIStatusError,
    AuthenticationError,
    InvalidArgumentError,
    RunFailedError,
    RunNotFoundError,
    RunTimeoutError,
    RunUnreachableError,
    StartUnknownError,
    ThreadBusyError,
)
from contit_mcp.runs.record import Phase
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, STEADY, set_stage

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


async def test_an_ask_returns_the_answer_of_its_own_run() -> None:
    """Start, poll, read: the three documented calls (documented)."""
    stage = set_stage()
    report = await stage.assistant.ask(OWNER, "How many drafts?", wait_seconds=45)
    assert report.phase is Phase.COMPLETED
    assert report.response == answer_to("How many drafts?")
    assert (report.thread_id, report.run_id) == ("thread_1", "run_2")
    assert report.elapsed_seconds == pytest.approx(3.0)
    assert (report.deduplicated, report.age_seconds) == (False, None)


async def test_a_follow_up_goes_to_the_same_thread() -> None:
    """ThreadId continues a conversation (documented)."""
    stage = set_stage()
    first = await stage.assistant.ask(OWNER, "one", wait_seconds=45)
    second = await stage.assistant.ask(OWNER, "two", first.thread_id, wait_seconds=45)
    assert second.thread_id == first.thread_id
    assert second.response == answer_to("two")
    assert second.run_id != first.run_id


async def test_a_run_still_going_at_the_deadline_returns_its_ids() -> None:
    stage = set_stage(EchoContit(seconds=100))
    began = anyio.current_time()
    report = await stage.assistant.ask(OWNER, "long", wait_seconds=45)
    assert anyio.current_time() - began == pytest.approx(45)
    assert (report.phase, report.response) == (Phase.IN_PROGRESS, None)
    assert report.elapsed_seconds == pytest.approx(45)


async def test_the_answer_comes_later_with_the_ids() -> None:
    stage = set_stage(EchoContit(seconds=100))
    report = await stage.assistant.ask(OWNER, "long", wait_seconds=45)
    again = await stage.assistant.response(OWNER, report.thread_id, report.run_id, wait_seconds=45)
    assert again.phase is Phase.IN_PROGRESS
    last = await stage.assistant.response(OWNER, report.thread_id, report.run_id, wait_seconds=45)
    assert last.response == answer_to("long")
    assert stage.contit.count("start") == 1


async def test_the_observer_hears_the_ids_before_the_first_word() -> None:
    stage, notes = set_stage(), Notes()
    await stage.assistant.ask(OWNER, "q", wait_seconds=45, observer=notes)
    assert notes.heard == ["thread_1/run_2", "in_progress", "completed"]


@pytest.mark.parametrize("word", ["failed", "cancelled", "expired"])
async def test_a_failed_run_is_an_error_to_its_caller_and_frees_its_thread(word: str) -> None:
    """The response is never fetched: it could be the previous answer."""
    stage = set_stage(EchoContit(end_words={"q": word}))
    with pytest.raises(RunFailedError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")
    assert stage.contit.count("response") == 0
    report = await stage.assistant.ask(OWNER, "next", "thread_1", wait_seconds=45)
    assert report.response == answer_to("next")


async def test_a_run_without_an_end_is_given_up_and_frees_its_thread() -> None:
    stage = set_stage(EchoContit(durations={"endless": 1e9}), polling=PollPolicy(schedule=STEADY, run_seconds=60))
    with pytest.raises(RunTimeoutError) as caught:
        await stage.assistant.ask(OWNER, "endless", wait_seconds=240)
    assert "No end seen" in caught.value.message
    assert "1 minute " in caught.value.message
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")
    stage.contit.runs[0].ends = 0  # Contit, too, must let it go, or it would refuse the next prompt
    report = await stage.assistant.ask(OWNER, "next", "thread_1", wait_seconds=45)
    assert report.response == answer_to("next")


@pytest.mark.parametrize(
    "reply", [httpx.Response(500), httpx.Response(429), httpx.ReadError("x"), httpx.Response(200, text="<html>")]
)
async def test_contit_stumbling_after_the_start_still_returns_the_handle(reply: httpx.Response | Exception) -> None:
    stage = set_stage()
    stage.contit.instead("status", *[reply] * 1000)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert (report.phase, report.run_id) == (Phase.IN_PROGRESS, "run_2")


async def test_faults_that_outlast_our_tolerance_still_return_the_handle() -> None:
    stage = set_stage(polling=PollPolicy(schedule=STEADY, fault_seconds=20))
    stage.contit.instead("status", *[httpx.Response(503)] * 1000)
    began = anyio.current_time()
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=200)
    assert report.phase is Phase.IN_PROGRESS
    assert anyio.current_time() - began < 30


async def test_a_refused_credential_after_the_start_is_an_error_that_carries_the_ids() -> None:
    stage = set_stage()
    stage.contit.instead("status", httpx.Response(401))
    with pytest.raises(RunUnreachableError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")
    assert isinstance(caught.value.__cause__, AuthenticationError)
    report = await stage.assistant.response(OWNER, "thread_1", "run_2", wait_seconds=30)
    assert report.response == answer_to("q")


@pytest.mark.parametrize("endpoint", ["status", "response"])
async def test_a_404_right_after_the_start_or_the_end_is_forgiven(endpoint: str) -> None:
    """It may be replication lag."""
    stage = set_stage()
    stage.contit.instead(endpoint, httpx.Response(404), httpx.Response(404))
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert report.response == answer_to("q")


async def test_a_run_that_contit_forgot_is_not_found_and_frees_its_thread() -> None:
    """Later, 404 means what it says (documented)."""
    stage = set_stage(EchoContit(durations={"q": 60}))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=20)
    stage.contit.instead("status", httpx.Response(404))
    with pytest.raises(RunNotFoundError) as caught:
        await stage.assistant.response(OWNER, first.thread_id, first.run_id, wait_seconds=20)
    assert (caught.value.thread_id, caught.value.run_id) == (first.thread_id, first.run_id)
    stage.contit.runs[0].ends = 0
    report = await stage.assistant.ask(OWNER, "next", first.thread_id, wait_seconds=20)
    assert report.response == answer_to("next")


async def test_a_completed_run_without_an_answer_says_so() -> None:
    stage = set_stage()
    stage.contit.instead("response", *[httpx.Response(404)] * 50)
    with pytest.raises(AnswerUnavailableError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert "has no answer" in caught.value.message
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")


@pytest.mark.parametrize(
    "reply",
    [
        httpx.ReadTimeout("x"),
        httpx.ReadError("x"),
        httpx.RemoteProtocolError("x"),
        *[httpx.Response(status, html="<html>") for status in (200, 500, 502, 504)],
    ],
)
async def test_a_start_whose_fate_is_unknown_is_sent_once_and_says_so(reply: Exception | httpx.Response) -> None:
    """Contit has no idempotency key (documented)."""
    stage = set_stage()
    stage.contit.instead("start", reply)
    with pytest.raises(StartUnknownError):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert stage.contit.count("start") == 1
    assert (await stage.assistant.ask(OWNER, "q", wait_seconds=45)).response == answer_to("q")


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (418, APIStatusError)])
async def test_a_refused_start_of_a_new_conversation_is_named_as_what_it_is(
    status: int, error: type[Exception]
) -> None:
    stage = set_stage()
    stage.contit.instead("start", httpx.Response(status))
    with pytest.raises(error):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert stage.contit.count("start") == 1


@pytest.mark.parametrize("status", [400, 409, 422, 500])
async def test_a_refusal_on_a_thread_that_we_do_not_know_to_be_busy_names_no_run(status: int) -> None:
    """Only our own store shows which run it would be."""
    stage = set_stage()
    stage.contit.instead("start", httpx.Response(status))
    with pytest.raises(ThreadBusyError) as caught:
        await stage.assistant.ask(OWNER, "q", "thread_elsewhere", wait_seconds=45)
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_elsewhere", None)


async def test_an_unknown_thread_is_not_found() -> None:
    """404 on a start names the thread (assumed)."""
    stage = set_stage()
    stage.contit.instead("start", httpx.Response(404))
    with pytest.raises(RunNotFoundError):
        await stage.assistant.ask(OWNER, "q", "thread_nobody_knows", wait_seconds=45)


@pytest.mark.parametrize("prompt", ["", "   \n\t", "x" * 32_001, "broken \ud800 text"])
async def test_an_unusable_prompt_is_refused_before_any_request(prompt: str) -> None:
    stage = set_stage()
    with pytest.raises(InvalidArgumentError):
        await stage.assistant.ask(OWNER, prompt, wait_seconds=45)
    assert stage.contit.requests == []

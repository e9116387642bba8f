"""What a user can do with the assistant, in memory and virtual time, on a Contit that echoes the question."""

import anyio
import httpx
import pytest

from contit_mcp.assistant.reports import Observer
from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.errors import (
    AnswerUnavailableError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    InvalidArgumentError,
    RateLimitError,
    RunFailedError,
    RunNotFoundError,
    RunTimeoutError,
    RunUnreachableError,
    ServerClosingError,
    StartUnknownError,
    ThreadBusyError,
)
from contit_mcp.runs.record import Failure, Phase
from contit_mcp.runs.store import RetentionPolicy
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


# --- ask


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
    """The wait is bounded and ends in a normal report."""
    stage = set_stage(EchoContit(seconds=100))
    began = anyio.current_time()
    report = await stage.assistant.ask(OWNER, "long", wait_seconds=45)
    assert anyio.current_time() - began == pytest.approx(45)
    assert (report.phase, report.response) == (Phase.IN_PROGRESS, None)
    assert report.elapsed_seconds == pytest.approx(45)


async def test_the_answer_comes_later_with_the_ids() -> None:
    """Each further call is one more wait, never a second run."""
    stage = set_stage(EchoContit(seconds=100))
    report = await stage.assistant.ask(OWNER, "long", wait_seconds=45)
    again = await stage.assistant.response(OWNER, report.thread_id, report.run_id, wait_seconds=45)
    assert again.phase is Phase.IN_PROGRESS
    last = await stage.assistant.response(OWNER, report.thread_id, report.run_id, wait_seconds=45)
    assert last.response == answer_to("long")
    assert stage.contit.count("start") == 1


async def test_the_observer_hears_the_ids_before_the_first_word() -> None:
    """Progress carries the ids as soon as they exist."""
    stage, notes = set_stage(), Notes()
    await stage.assistant.ask(OWNER, "q", wait_seconds=45, observer=notes)
    assert notes.heard == ["thread_1/run_2", "in_progress", "completed"]


@pytest.mark.parametrize("word", ["failed", "cancelled", "expired"])
async def test_a_failed_run_is_an_error_to_whoever_asked(word: str) -> None:
    """The response is never fetched: it could be the previous answer."""
    stage = set_stage(EchoContit(end_words={"q": word}))
    with pytest.raises(RunFailedError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")
    assert stage.contit.count("response") == 0


async def test_a_failed_run_frees_its_thread() -> None:
    """The next question on the thread runs."""
    stage = set_stage(EchoContit(end_words={"bad": "failed"}))
    with pytest.raises(RunFailedError):
        await stage.assistant.ask(OWNER, "bad", wait_seconds=45)
    report = await stage.assistant.ask(OWNER, "good", "thread_1", wait_seconds=45)
    assert report.response == answer_to("good")


async def test_a_run_without_an_end_is_given_up_and_frees_its_thread() -> None:
    """30 minutes by default, here 60 seconds."""
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
    """The same result as after the wait."""
    stage = set_stage()
    stage.contit.instead("status", *[reply] * 1000)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert (report.phase, report.run_id) == (Phase.IN_PROGRESS, "run_2")


async def test_faults_that_outlast_our_tolerance_still_return_the_handle() -> None:
    """A wait longer than the tolerance ends with it."""
    stage = set_stage(polling=PollPolicy(schedule=STEADY, fault_seconds=20))
    stage.contit.instead("status", *[httpx.Response(503)] * 1000)
    began = anyio.current_time()
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=200)
    assert report.phase is Phase.IN_PROGRESS
    assert anyio.current_time() - began < 30


async def test_an_answer_that_cannot_be_read_yet_leaves_the_run_going() -> None:
    """Completed, but the answer does not come: nobody may start on the thread before it is read."""
    stage = set_stage()
    stage.contit.instead("response", *[httpx.Response(502)] * 50)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert report.phase is Phase.IN_PROGRESS
    stage.contit.replies.clear()
    later = await stage.assistant.response(OWNER, "thread_1", "run_2", wait_seconds=30)
    assert later.response == answer_to("q")


async def test_a_refused_credential_after_the_start_is_an_error_that_carries_the_ids() -> None:
    """It does not pass by itself, and the handle is not lost."""
    stage = set_stage()
    stage.contit.instead("status", httpx.Response(401))
    with pytest.raises(RunUnreachableError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")
    assert isinstance(caught.value.__cause__, AuthenticationError)
    report = await stage.assistant.response(OWNER, "thread_1", "run_2", wait_seconds=30)
    assert report.response == answer_to("q")


async def test_a_404_right_after_the_start_is_forgiven() -> None:
    """It may be replication lag."""
    stage = set_stage()
    stage.contit.instead("status", httpx.Response(404), httpx.Response(404))
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


async def test_a_404_on_the_response_right_after_completed_is_forgiven() -> None:
    """The same lag."""
    stage = set_stage()
    stage.contit.instead("response", httpx.Response(404))
    assert (await stage.assistant.ask(OWNER, "q", wait_seconds=30)).response == answer_to("q")


async def test_a_completed_run_without_an_answer_says_so() -> None:
    """404 on the response for good."""
    stage = set_stage()
    stage.contit.instead("response", *[httpx.Response(404)] * 50)
    with pytest.raises(AnswerUnavailableError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=30)
    assert "has no answer" in caught.value.message
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")


# --- the start


@pytest.mark.parametrize("reply", [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x")])
async def test_a_start_whose_fate_is_unknown_is_sent_once_and_says_so(reply: Exception) -> None:
    """Contit has no idempotency key (documented)."""
    stage = set_stage()
    stage.contit.instead("start", reply)
    with pytest.raises(StartUnknownError):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert stage.contit.count("start") == 1


async def test_after_a_start_of_unknown_fate_the_question_can_be_asked_anew() -> None:
    """The intent does not block the next try."""
    stage = set_stage()
    stage.contit.instead("start", httpx.ReadError("x"))
    with pytest.raises(StartUnknownError):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (await stage.assistant.ask(OWNER, "q", wait_seconds=45)).response == answer_to("q")


@pytest.mark.parametrize(
    "reply", [httpx.ConnectError("x"), httpx.Response(429, headers={"Retry-After": "2"}), httpx.Response(503)]
)
async def test_a_start_that_was_certainly_not_accepted_is_repeated(reply: httpx.Response | Exception) -> None:
    """Not sent, 429 or 503."""
    stage = set_stage()
    stage.contit.instead("start", reply)
    assert (await stage.assistant.ask(OWNER, "q", wait_seconds=45)).response == answer_to("q")
    assert (stage.contit.count("start"), stage.contit.started("q")) == (2, 1)


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationError), (500, StartUnknownError), (418, APIStatusError)]
)
async def test_a_refused_start_of_a_new_conversation_is_named_as_what_it_is(
    status: int, error: type[Exception]
) -> None:
    """No thread, so nothing can be busy."""
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


async def test_a_retry_after_beyond_the_wait_is_told_at_once() -> None:
    """Waiting for it would outlast the caller."""
    stage = set_stage()
    stage.contit.instead("start", httpx.Response(429, headers={"Retry-After": "120"}))
    began = anyio.current_time()
    with pytest.raises(RateLimitError) as caught:
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert anyio.current_time() - began < 1
    assert "120 seconds" in caught.value.hint


@pytest.mark.parametrize("prompt", ["", "   \n\t", "x" * 32_001, "broken \ud800 text"])
async def test_an_unusable_prompt_is_refused_before_any_request(prompt: str) -> None:
    """Blank, too long or not Unicode."""
    stage = set_stage()
    with pytest.raises(InvalidArgumentError):
        await stage.assistant.ask(OWNER, prompt, wait_seconds=45)
    assert stage.contit.requests == []


async def test_a_prompt_of_the_greatest_length_is_sent() -> None:
    """32,000 characters are allowed."""
    stage = set_stage()
    assert (await stage.assistant.ask(OWNER, "x" * 32_000, wait_seconds=45)).phase is Phase.COMPLETED


# --- single flight


async def test_the_same_question_at_once_runs_once() -> None:
    """20 callers, one run, 20 equal answers."""
    stage = set_stage(EchoContit(latency=0.1))
    answers: list[str | None] = []

    async def ask() -> None:
        answers.append((await stage.assistant.ask(OWNER, "q", wait_seconds=45)).response)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    assert answers == [answer_to("q")] * 20
    assert (stage.contit.started("q"), stage.contit.count("response")) == (1, 1)


async def test_however_many_wait_one_polls() -> None:
    """Ten waiters poll no more than one does."""
    alone, crowd = set_stage(EchoContit(seconds=20)), set_stage(EchoContit(seconds=20))
    await alone.assistant.ask(OWNER, "q", wait_seconds=45)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(lambda: crowd.assistant.ask(OWNER, "q", wait_seconds=45))
    assert crowd.contit.count("status") == alone.contit.count("status")


async def test_when_the_one_who_polls_leaves_another_goes_on() -> None:
    """A cancelled leader takes nothing with it."""
    stage = set_stage(EchoContit(seconds=20))
    leader = anyio.CancelScope()
    answers: list[str | None] = []

    async def lead() -> None:
        with leader:
            await stage.assistant.ask(OWNER, "q", wait_seconds=45)

    async def follow() -> None:
        answers.append((await stage.assistant.ask(OWNER, "q", wait_seconds=45)).response)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lead)
        await anyio.sleep(1)
        tasks.start_soon(follow)
        await anyio.sleep(1)
        leader.cancel()
    assert answers == [answer_to("q")]
    assert stage.contit.started("q") == 1


async def test_a_follower_hears_the_status_words_too() -> None:
    """Progress is for everyone who waits."""
    stage, notes = set_stage(EchoContit(seconds=20)), Notes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: stage.assistant.ask(OWNER, "q", wait_seconds=45))
        await anyio.sleep(1)
        tasks.start_soon(lambda: stage.assistant.ask(OWNER, "q", wait_seconds=45, observer=notes))
    assert notes.heard[-1] == "completed"


async def test_another_owner_with_the_same_question_gets_a_run_of_their_own() -> None:
    """Owners share nothing."""
    stage = set_stage()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: stage.assistant.ask("a", "q", wait_seconds=45))
        tasks.start_soon(lambda: stage.assistant.ask("b", "q", wait_seconds=45))
    assert stage.contit.started("q") == 2


async def test_start_and_ask_join_each_other() -> None:
    """Single flight holds for both."""
    stage = set_stage()
    first = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    second = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    third = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert first.run_id == second.run_id == third.run_id
    assert third.response == answer_to("q")
    assert (first.deduplicated, second.deduplicated, third.deduplicated) == (False, True, True)


async def test_the_same_words_on_the_thread_they_began_join_their_run() -> None:
    """A model that repeats its question, now with the thread id it was given."""
    stage = set_stage(EchoContit(seconds=60))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=20)
    again = await stage.assistant.ask(OWNER, "q", first.thread_id, wait_seconds=60)
    assert (again.run_id, again.response) == (first.run_id, answer_to("q"))
    assert stage.contit.started("q") == 1


# --- answers that nobody got


async def test_a_caller_who_went_gets_the_answer_when_it_asks_again() -> None:
    """Cancelled, and the run ended meanwhile: no second run, and the answer says how old it is."""
    stage = set_stage(EchoContit(seconds=10))
    with anyio.move_on_after(5):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    other = await stage.assistant.status(OWNER, "thread_1", "run_2", wait_seconds=30)  # sees the end
    assert other.phase is Phase.COMPLETED
    await anyio.sleep(30)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert report.response == answer_to("q")
    assert report.age_seconds == pytest.approx(40, abs=1)  # since it was asked
    assert stage.contit.started("q") == 1


async def test_more_after_more_is_a_new_question() -> None:
    """On a thread, a delivered answer is not given again."""
    stage = set_stage(EchoContit(seconds=10))
    first = await stage.assistant.ask(OWNER, "list", wait_seconds=45)
    for _ in range(2):
        report = await stage.assistant.ask(OWNER, "more", first.thread_id, wait_seconds=45)
        assert (report.response, report.age_seconds) == (answer_to("more"), None)
    assert stage.contit.started("more") == 2


async def test_a_slow_answer_of_a_new_conversation_is_given_again_once_within_two_minutes() -> None:
    """The host may have given up before it came; delivery cannot be known there."""
    stage = set_stage(EchoContit(seconds=10))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    await anyio.sleep(60)
    second = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert second.run_id == first.run_id
    assert second.age_seconds == pytest.approx(70, abs=1)  # since it was asked
    third = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert third.run_id != first.run_id
    assert third.age_seconds is None


async def test_after_two_minutes_the_question_is_asked_anew() -> None:
    """The answer may be out of date."""
    stage = set_stage(EchoContit(seconds=10))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    await anyio.sleep(121)
    assert (await stage.assistant.ask(OWNER, "q", wait_seconds=45)).run_id != first.run_id


async def test_a_quick_answer_is_not_given_again() -> None:
    """Within 4 s every host has it."""
    stage = set_stage(EchoContit(seconds=2))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (await stage.assistant.ask(OWNER, "q", wait_seconds=45)).run_id != first.run_id


async def test_a_run_begun_without_waiting_is_not_taken_for_a_lost_answer() -> None:
    """`start` gave its ids; the same words later are a new question."""
    stage = set_stage()
    first = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    await stage.assistant.status(OWNER, first.thread_id, str(first.run_id), wait_seconds=30)
    assert (await stage.assistant.start(OWNER, "q", wait_seconds=45)).run_id != first.run_id


# --- one run a thread


async def test_a_second_prompt_waits_its_turn_and_both_answers_are_right() -> None:
    """Contit's response has no run id, so two runs at once could swap (documented)."""
    stage = set_stage(EchoContit(seconds=5))
    first = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    answers: dict[str, str | None] = {}

    async def ask(prompt: str) -> None:
        answers[prompt] = (await stage.assistant.ask(OWNER, prompt, first.thread_id, wait_seconds=45)).response

    async with anyio.create_task_group() as tasks:
        for prompt in ("one", "two", "three"):
            tasks.start_soon(ask, prompt)
    assert answers == {prompt: answer_to(prompt) for prompt in ("one", "two", "three")}
    assert stage.contit.overlaps == []


async def test_a_turn_that_does_not_come_within_the_wait_is_busy_with_that_run() -> None:
    """Nothing was sent."""
    stage = set_stage(EchoContit(durations={"long": 100}))
    first = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    busy = await stage.assistant.start(OWNER, "long", first.thread_id, wait_seconds=45)
    began = anyio.current_time()
    with pytest.raises(ThreadBusyError) as caught:
        await stage.assistant.ask(OWNER, "two", first.thread_id, wait_seconds=30)
    assert anyio.current_time() - began == pytest.approx(30)
    assert caught.value.run_id == busy.run_id
    assert stage.contit.started("two") == 0


async def test_contit_unreachable_while_a_turn_is_waited_for_is_busy_too() -> None:
    """The run before cannot be seen to end, so nothing is sent."""
    stage = set_stage(EchoContit(durations={"long": 100}))
    first = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await stage.assistant.start(OWNER, "long", first.thread_id, wait_seconds=45)
    stage.contit.instead("status", httpx.Response(401))
    with pytest.raises(ThreadBusyError):
        await stage.assistant.ask(OWNER, "two", first.thread_id, wait_seconds=30)


async def test_three_starts_in_a_row_each_keep_their_own_answer() -> None:
    """Whoever starts the next run first sees the previous one end and keeps its answer."""
    stage = set_stage(EchoContit(seconds=5))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    runs = {
        prompt: (await stage.assistant.start(OWNER, prompt, zero.thread_id, wait_seconds=45)).run_id
        for prompt in ("one", "two", "three")
    }
    for prompt in ("two", "three", "one"):
        report = await stage.assistant.response(OWNER, zero.thread_id, runs[prompt], wait_seconds=45)
        assert report.response == answer_to(prompt)
    assert stage.contit.overlaps == []


async def test_a_hundred_asks_at_once_swap_nothing() -> None:
    """20 the same question, 20 on one thread, 60 others."""
    stage = set_stage(EchoContit(seconds=2, latency=0.05))
    thread_id = (await stage.assistant.ask(OWNER, "zero", wait_seconds=45)).thread_id
    wrong: list[str] = []

    async def ask(prompt: str, thread: str | None) -> None:
        report = await stage.assistant.ask(OWNER, prompt, thread, wait_seconds=240)
        if report.response != answer_to(prompt):
            wrong.append(prompt)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, "same", None)
            tasks.start_soon(ask, f"on the thread {number}", thread_id)
            for part in range(3):
                tasks.start_soon(ask, f"other {number} {part}", None)
    assert wrong == []
    assert stage.contit.overlaps == []
    assert stage.contit.started("same") == 1
    assert len(stage.contit.runs) == 1 + 1 + 20 + 60


async def test_a_start_that_is_still_being_sent_is_waited_for() -> None:
    """The same question joins it once its ids exist."""
    stage = set_stage(EchoContit(latency=3))
    reports = []

    async def ask() -> None:
        reports.append(await stage.assistant.ask(OWNER, "q", wait_seconds=45))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        tasks.start_soon(ask)
    assert {report.run_id for report in reports} == {"run_2"}


async def test_a_start_that_is_still_being_sent_at_the_deadline_is_told() -> None:
    """There are no ids to give yet; asking again joins."""
    stage = set_stage(EchoContit(latency=10))

    async def ask() -> None:
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        with pytest.raises(APITimeoutError) as caught:
            await stage.assistant.ask(OWNER, "q", wait_seconds=2)
    assert "joins" in caught.value.hint


# --- leaving


async def test_a_cancelled_ask_stops_polling_before_the_next_poll() -> None:
    """There is no cancel upstream: the run goes on, the handle stays valid (documented)."""
    stage = set_stage(EchoContit(seconds=30))
    with anyio.move_on_after(5):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    polls = stage.contit.count("status")
    await anyio.sleep(60)
    assert stage.contit.count("status") == polls
    report = await stage.assistant.response(OWNER, "thread_1", "run_2", wait_seconds=5)
    assert report.response == answer_to("q")


async def test_a_start_that_is_cancelled_while_it_is_sent_is_remembered() -> None:
    """It is shielded until its ids are stored."""
    stage = set_stage(EchoContit(latency=2, seconds=5))
    with anyio.move_on_after(1):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert report.response == answer_to("q")
    assert stage.contit.started("q") == 1


async def test_closing_returns_every_wait_with_its_handle_at_once() -> None:
    """The same result as after the wait."""
    stage = set_stage(EchoContit(seconds=100))
    reports = []

    async def ask(prompt: str) -> None:
        reports.append(await stage.assistant.ask(OWNER, prompt, wait_seconds=45))

    async with anyio.create_task_group() as tasks:
        for prompt in ("a", "b", "c"):
            tasks.start_soon(ask, prompt)
        await anyio.sleep(5)
        closed_at = anyio.current_time()
        stage.assistant.close()
    assert anyio.current_time() == closed_at
    assert [report.phase for report in reports] == [Phase.IN_PROGRESS] * 3


async def test_closing_in_the_middle_of_a_start_still_returns_its_handle() -> None:
    """The start is finished, its ids are kept and given."""
    stage = set_stage(EchoContit(latency=1, seconds=100))
    reports = []

    async def ask() -> None:
        reports.append(await stage.assistant.ask(OWNER, "q", wait_seconds=45))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(0.5)
        stage.assistant.close()
    assert [report.run_id for report in reports] == ["run_2"]


async def test_closing_while_a_turn_is_waited_for_says_that_nothing_was_started() -> None:
    """Ask again."""
    stage = set_stage(EchoContit(durations={"long": 100}))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await stage.assistant.start(OWNER, "long", zero.thread_id, wait_seconds=45)
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await stage.assistant.ask(OWNER, "two", zero.thread_id, wait_seconds=45)
        except ServerClosingError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        stage.assistant.close()
    assert len(errors) == 1
    assert stage.contit.started("two") == 0


async def test_after_closing_nothing_is_started_and_handles_still_answer() -> None:
    """Reading goes on without waiting until the process ends."""
    stage = set_stage(EchoContit(seconds=100))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    stage.assistant.close()
    with pytest.raises(ServerClosingError):
        await stage.assistant.ask(OWNER, "two", wait_seconds=45)
    report = await stage.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=45)
    assert report.phase is Phase.IN_PROGRESS


# --- status


async def test_status_tells_where_a_run_stands() -> None:
    """One question, answered at once (documented)."""
    stage = set_stage(EchoContit(seconds=10))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    assert (await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))).phase is Phase.IN_PROGRESS
    await anyio.sleep(10)
    report = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))
    assert (report.phase, report.response) == (Phase.COMPLETED, None)


async def test_status_with_a_wait_answers_as_soon_as_the_run_ends() -> None:
    """Or when the wait is over."""
    stage = set_stage(EchoContit(seconds=10))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    began = anyio.current_time()
    early = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), wait_seconds=4)
    assert early.phase is Phase.IN_PROGRESS
    assert anyio.current_time() - began == pytest.approx(4)
    report = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), wait_seconds=60)
    assert (report.phase, anyio.current_time() - began < 11) == (Phase.COMPLETED, True)


async def test_status_reports_a_failed_run_as_a_result() -> None:
    """A failed run is an observation."""
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
    """Its end is remembered."""
    stage = set_stage()
    run = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    requests = len(stage.contit.requests)
    assert (await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))).phase is Phase.COMPLETED
    assert len(stage.contit.requests) == requests


async def test_status_gives_up_a_run_past_its_limit() -> None:
    """Reported failed, no end seen."""
    stage = set_stage(EchoContit(seconds=1e9), polling=PollPolicy(schedule=STEADY, run_seconds=60))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    await anyio.sleep(59.9)
    assert (await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))).phase is Phase.IN_PROGRESS
    await anyio.sleep(0.1)
    report = await stage.assistant.status(OWNER, run.thread_id, str(run.run_id))
    assert (report.phase, report.failure) == (Phase.FAILED, Failure.NO_END_SEEN)


async def test_status_while_somebody_here_waits_asks_contit_nothing() -> None:
    """The one who waits is asking all the time."""
    stage = set_stage(EchoContit(seconds=20))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: stage.assistant.ask(OWNER, "q", wait_seconds=45))
        await anyio.sleep(0.6)
        polls = stage.contit.count("status")
        report = await stage.assistant.status(OWNER, "thread_1", "run_2")
        assert (report.phase, stage.contit.count("status")) == (Phase.IN_PROGRESS, polls)


# --- response


async def test_response_without_a_run_id_is_the_threads_latest() -> None:
    """By what we remember, waiting for it."""
    stage = set_stage(EchoContit(seconds=5))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await stage.assistant.start(OWNER, "one", zero.thread_id, wait_seconds=45)
    report = await stage.assistant.response(OWNER, zero.thread_id, wait_seconds=45)
    assert report.response == answer_to("one")


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
    """Retention 0 keeps none; a later run is known."""
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
    """After an hour our copy is gone, Contit's is not."""
    stage = set_stage()
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await anyio.sleep(3_601)
    reads = stage.contit.count("response")
    report = await stage.assistant.response(OWNER, zero.thread_id, zero.run_id, wait_seconds=45)
    assert (report.response, stage.contit.count("response")) == (answer_to("zero"), reads + 1)


async def test_an_answer_that_contit_no_longer_has_either_says_so() -> None:
    """404 long after the end."""
    stage = set_stage(retention=RetentionPolicy(answer=0))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    stage.contit.instead("response", httpx.Response(404))
    with pytest.raises(AnswerUnavailableError) as caught:
        await stage.assistant.response(OWNER, zero.thread_id, zero.run_id, wait_seconds=45)
    assert "has no answer" in caught.value.message


async def test_a_run_that_we_do_not_remember_is_waited_for_and_answered() -> None:
    """Its ids still work after a restart without a store."""
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


async def test_a_thread_that_contit_does_not_know_is_not_found() -> None:
    """404 (documented)."""
    with pytest.raises(RunNotFoundError) as caught:
        await set_stage().assistant.response(OWNER, "thread_x", wait_seconds=45)
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_x", None)


@pytest.mark.parametrize("faults", [1, 50])
async def test_a_fault_at_the_first_question_about_an_unremembered_run_is_told_when_it_lasts(faults: int) -> None:
    """Nothing is known of the run, so there is nothing to report."""
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
    """Another owner's run is asked about upstream, as any raw id is."""
    stage = set_stage()
    run = await stage.assistant.ask("a", "q", wait_seconds=45)
    requests = len(stage.contit.requests)
    await stage.assistant.status("b", run.thread_id, str(run.run_id))
    assert len(stage.contit.requests) > requests


@pytest.mark.parametrize("bad", ["", "..", "a\nb", "x" * 257, "nul\x00"])
async def test_ids_that_cannot_be_ids_are_refused_before_any_request(bad: str) -> None:
    """Ids are opaque, but no path can be made of these."""
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


async def test_a_joiner_whose_wait_ends_first_is_told_that_it_joined() -> None:
    """The report names it, whatever it ends with."""
    stage = set_stage(EchoContit(seconds=100))
    await stage.assistant.start(OWNER, "q", wait_seconds=45)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=5)
    assert (report.phase, report.deduplicated) == (Phase.IN_PROGRESS, True)


async def test_an_unremembered_run_that_goes_on_stays_unremembered() -> None:
    """Its age is not known, and a passing fault while it is waited for is told."""
    stage = set_stage(EchoContit(seconds=100))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    fresh = set_stage(stage.contit)
    report = await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=5)
    assert (report.phase, report.run_id, report.elapsed_seconds) == (Phase.IN_PROGRESS, run.run_id, None)
    fresh.contit.instead("status", httpx.Response(403))
    with pytest.raises(RunUnreachableError):
        await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=5)


async def test_a_status_without_a_wait_asks_once() -> None:
    """One request, and no time passes."""
    stage, notes = set_stage(EchoContit(seconds=100)), Notes()
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    began = anyio.current_time()
    await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), observer=notes)
    assert (stage.contit.count("status"), anyio.current_time() - began) == (1, 0)
    assert notes.heard == [f"{run.thread_id}/{run.run_id}"]
    await stage.assistant.status(OWNER, run.thread_id, str(run.run_id), wait_seconds=1)
    assert anyio.current_time() - began == pytest.approx(1)


# --- what a review found


async def test_a_response_without_a_wait_still_sees_the_end() -> None:
    """One question is asked whatever the wait."""
    stage = set_stage()
    run = await stage.assistant.start(OWNER, "q", wait_seconds=10)
    await anyio.sleep(100)
    report = await stage.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=0)
    assert report.response == answer_to("q")


async def test_a_wait_shorter_than_contits_round_trips_still_sees_the_end() -> None:
    """Or each call would be cut before it knows."""
    stage = set_stage(EchoContit(seconds=3, latency=0.6))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=10)
    await anyio.sleep(100)
    report = await stage.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=1)
    assert report.response == answer_to("q")


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_slow_contit_does_not_stretch_a_short_wait_for_long(remembered: bool) -> None:
    """Eight seconds at the most, the time of one question."""
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


async def test_who_waited_for_a_start_of_unknown_fate_does_not_start_it_again() -> None:
    """Both are told; only a caller who knows may ask anew."""
    stage = set_stage(EchoContit(latency=1))

    def accepted_and_lost(request: httpx.Request) -> httpx.Response:
        stage.contit.start(None, "q")
        raise httpx.ReadTimeout("x", request=request)

    stage.contit.instead("start", accepted_and_lost)
    told: list[Exception] = []

    async def ask() -> None:
        try:
            await stage.assistant.ask(OWNER, "q", wait_seconds=45)
        except StartUnknownError as error:
            told.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
    assert len(told) == 2
    assert stage.contit.started("q") == 1


@pytest.mark.parametrize("status", [200, 500, 502, 504])
async def test_a_start_that_may_have_been_accepted_is_said_to_be_of_unknown_fate(status: int) -> None:
    """A gateway's error, or an answer that cannot be read, says nothing of what Contit did."""
    stage = set_stage()
    stage.contit.instead("start", httpx.Response(status, html="<html>"))
    with pytest.raises(StartUnknownError):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert stage.contit.count("start") == 1


async def test_a_run_that_ended_unseen_is_not_joined_as_if_it_were_going_on() -> None:
    """Begun without waiting, asked again hours later: a new question."""
    stage = set_stage()
    first = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    await anyio.sleep(5 * 3_600)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert report.run_id != first.run_id
    assert (report.deduplicated, report.age_seconds) == (False, None)


async def test_an_awaited_answer_that_came_unseen_is_given_with_its_age() -> None:
    """Since it was asked."""
    stage = set_stage(EchoContit(seconds=60))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=20)
    await anyio.sleep(1_000)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=20)
    assert report.run_id == first.run_id
    assert report.age_seconds == pytest.approx(1_020, abs=1)


async def test_contit_failing_while_a_join_is_checked_changes_nothing() -> None:
    """The run is joined, and its wait tells."""
    stage = set_stage(EchoContit(seconds=30))
    first = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    await anyio.sleep(5)
    stage.contit.instead("status", httpx.Response(500))
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (report.run_id, report.response) == (first.run_id, answer_to("q"))


async def test_an_unremembered_run_is_polled_less_and_less_often() -> None:
    """By how long it has been waited for, since its age is not known."""
    stage = set_stage(EchoContit(seconds=10_000))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    fresh = set_stage(stage.contit, polling=PollPolicy())
    await fresh.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=1_500)
    assert fresh.contit.count("status") < 800

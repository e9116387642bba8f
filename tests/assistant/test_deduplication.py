"""The same question runs once, its answer is returned when it is owed, and a thread has one run at a time."""

import anyio
import httpx
import pytest

from contit_mcp.assistant.reports import Observer
from contit_mcp.errors import (
    APITimeoutError,
    ThreadBusyError,
)
from contit_mcp.runs.record import Phase
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


async def test_the_same_question_at_once_runs_once() -> None:
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
    alone, crowd = set_stage(EchoContit(seconds=20)), set_stage(EchoContit(seconds=20))
    await alone.assistant.ask(OWNER, "q", wait_seconds=45)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(lambda: crowd.assistant.ask(OWNER, "q", wait_seconds=45))
    assert crowd.contit.count("status") == alone.contit.count("status")


async def test_when_the_one_who_polls_leaves_another_goes_on() -> None:
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
    stage, notes = set_stage(EchoContit(seconds=20)), Notes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: stage.assistant.ask(OWNER, "q", wait_seconds=45))
        await anyio.sleep(1)
        tasks.start_soon(lambda: stage.assistant.ask(OWNER, "q", wait_seconds=45, observer=notes))
    assert notes.heard[-1] == "completed"


async def test_another_owner_with_the_same_question_gets_a_run_of_their_own() -> None:
    stage = set_stage()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: stage.assistant.ask("a", "q", wait_seconds=45))
        tasks.start_soon(lambda: stage.assistant.ask("b", "q", wait_seconds=45))
    assert stage.contit.started("q") == 2


async def test_start_and_ask_join_each_other() -> None:
    stage = set_stage()
    first = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    second = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    third = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert first.run_id == second.run_id == third.run_id
    assert third.response == answer_to("q")
    assert (first.deduplicated, second.deduplicated, third.deduplicated) == (False, True, True)


async def test_the_same_words_on_the_thread_they_began_join_their_run() -> None:
    stage = set_stage(EchoContit(seconds=60))
    first = await stage.assistant.ask(OWNER, "q", wait_seconds=20)
    again = await stage.assistant.ask(OWNER, "q", first.thread_id, wait_seconds=60)
    assert (again.run_id, again.response) == (first.run_id, answer_to("q"))
    assert stage.contit.started("q") == 1


async def test_a_caller_who_went_gets_the_answer_when_it_asks_again() -> None:
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
    stage = set_stage(EchoContit(durations={"long": 100}))
    first = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    await stage.assistant.start(OWNER, "long", first.thread_id, wait_seconds=45)
    stage.contit.instead("status", httpx.Response(401))
    with pytest.raises(ThreadBusyError):
        await stage.assistant.ask(OWNER, "two", first.thread_id, wait_seconds=30)


async def test_a_hundred_asks_at_once_swap_nothing() -> None:
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


async def test_a_start_that_is_still_being_sent_at_the_deadline_is_told() -> None:
    stage = set_stage(EchoContit(latency=10))

    async def ask() -> None:
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        with pytest.raises(APITimeoutError) as caught:
            await stage.assistant.ask(OWNER, "q", wait_seconds=2)
    assert "joins" in caught.value.hint

"""Callers that leave, and a process that closes."""

import anyio
import pytest

from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.errors import (
    ServerClosingError,
)
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase, RunRecord
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, STEADY, set_stage, wall_clock

pytestmark = pytest.mark.anyio


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
    stage = set_stage(EchoContit(latency=2, seconds=5))
    with anyio.move_on_after(1):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert report.response == answer_to("q")
    assert stage.contit.started("q") == 1


async def test_closing_returns_every_wait_with_its_handle_at_once() -> None:
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
    stage = set_stage(EchoContit(seconds=100))
    run = await stage.assistant.start(OWNER, "q", wait_seconds=45)
    stage.assistant.close()
    with pytest.raises(ServerClosingError):
        await stage.assistant.ask(OWNER, "two", wait_seconds=45)
    report = await stage.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=45)
    assert report.phase is Phase.IN_PROGRESS


class SlowStore(MemoryRunStore):
    """A store whose claims take a while to come back."""

    async def claim(self, intent: RunRecord) -> Claim:
        claim = await super().claim(intent)
        await anyio.sleep(0.5)
        return claim


async def test_a_caller_who_leaves_while_the_store_is_asked_leaves_no_intent_behind() -> None:
    """Else the same question would wait for a start that nobody sends."""
    stage = set_stage(store=SlowStore(now=wall_clock))
    with anyio.move_on_after(0.2):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert stage.contit.count("start") == 0
    began = anyio.current_time()
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert report.response == answer_to("q")
    assert anyio.current_time() - began < 5


async def test_joining_a_run_that_contit_is_slow_to_tell_about_costs_one_poll() -> None:
    contit = EchoContit(seconds=100)
    store = MemoryRunStore(now=wall_clock)
    first = set_stage(contit, store, polling=PollPolicy(schedule=STEADY))
    second = set_stage(contit, store, polling=PollPolicy(schedule=STEADY))
    handle = await first.assistant.start(OWNER, "q", wait_seconds=45)
    await anyio.sleep(5)
    contit.latency = 30.0
    began = anyio.current_time()
    joined = await second.assistant.ask(OWNER, "q", wait_seconds=2)
    assert joined.run_id == handle.run_id
    assert anyio.current_time() - began < 11
    began = anyio.current_time()
    again = await second.assistant.start(OWNER, "q", wait_seconds=45)
    assert again.run_id == handle.run_id
    assert anyio.current_time() - began < 9

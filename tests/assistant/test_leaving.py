"""Callers that leave, and a process that closes."""

from functools import partial

import anyio
import pytest

from contit_mcp.assistant.reports import RunReport
from contit_mcp.errors import ServerClosingError
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase, RunRecord
from tests.echo_contit import EchoContit, answer_to
from tests.stage import set_stage, wall_clock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("latency", "closes_after", "within"), [(0.0, 5.0, 0.0), (1.0, 0.5, 0.5)])
async def test_closing_returns_every_ask_with_its_handle_also_in_the_middle_of_a_start(
    latency: float, closes_after: float, within: float
) -> None:
    stage = set_stage(EchoContit(latency=latency, seconds=100))
    reports: list[RunReport] = []

    async def ask(prompt: str) -> None:
        reports.append(await stage.ask(prompt))

    async with anyio.create_task_group() as tasks:
        for prompt in ("a", "b", "c"):
            tasks.start_soon(ask, prompt)
        await anyio.sleep(closes_after)
        closed_at = anyio.current_time()
        stage.assistant.close()
    assert anyio.current_time() <= closed_at + within
    assert [(report.phase, bool(report.run_id)) for report in reports] == [(Phase.IN_PROGRESS, True)] * 3


async def test_closing_while_a_turn_is_waited_for_says_that_nothing_was_started() -> None:
    stage = set_stage(EchoContit(durations={"long": 100}))
    run = await stage.start("long")

    async def ask() -> None:
        with pytest.raises(ServerClosingError):
            await stage.ask("two", run.thread_id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        stage.assistant.close()
    with pytest.raises(ServerClosingError):
        await stage.ask("three")
    assert len(stage.contit.runs) == 1
    assert (await stage.response(run)).phase is Phase.IN_PROGRESS  # handles still answer


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
        await stage.ask("q")
    assert stage.contit.count("start") == 0
    began = anyio.current_time()
    assert (await stage.ask("q")).response == answer_to("q")
    assert anyio.current_time() - began < 5


async def test_joining_a_run_that_contit_is_slow_to_tell_about_costs_one_poll() -> None:
    first = set_stage(EchoContit(seconds=100))
    second = set_stage(first.contit, first.store)
    handle = await first.start("q")
    await anyio.sleep(5)
    first.contit.latency = 30.0
    for join, most in ((partial(second.ask, "q", wait=2), 11), (partial(second.start, "q"), 9)):
        began = anyio.current_time()
        assert (await join()).run_id == handle.run_id
        assert anyio.current_time() - began < most

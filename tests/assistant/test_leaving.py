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


async def test_closing_in_the_middle_of_a_start_returns_its_ids_once_they_come() -> None:
    stage = set_stage(EchoContit(latency=1.0, seconds=100))
    reports: list[RunReport] = []

    async def ask() -> None:
        reports.append(await stage.ask("q"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(0.5)
        stage.assistant.close()
        closed_at = anyio.current_time()
    assert anyio.current_time() <= closed_at + 0.5
    assert [(report.phase, report.run_id) for report in reports] == [(Phase.IN_PROGRESS, "run_2")]


async def test_closing_while_an_ask_waits_for_its_thread_starts_nothing_and_says_so() -> None:
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
    assert (await stage.response(run)).phase is Phase.IN_PROGRESS  # runs can still be asked about


class SlowStore(MemoryRunStore):
    """A store whose claims take half a second."""

    async def claim(self, intent: RunRecord) -> Claim:
        claim = await super().claim(intent)
        await anyio.sleep(0.5)
        return claim


async def test_a_caller_that_leaves_during_a_claim_leaves_no_intent_in_the_store() -> None:
    """With it, the same question would wait for a start that no caller sends."""
    stage = set_stage(store=SlowStore(now=wall_clock))
    with anyio.move_on_after(0.2):
        await stage.ask("q")
    assert stage.contit.count("start") == 0
    began = anyio.current_time()
    assert (await stage.ask("q")).response == answer_to("q")
    assert anyio.current_time() - began < 5


async def test_a_slow_status_of_contit_delays_a_deduplicated_call_by_one_poll() -> None:
    first = set_stage(EchoContit(seconds=100))
    second = first.second()
    run = await first.start("q")
    await anyio.sleep(5)
    first.contit.latency = 30.0
    for call, most_seconds in ((partial(second.ask, "q", wait=2), 11), (partial(second.start, "q"), 9)):
        began = anyio.current_time()
        assert (await call()).run_id == run.run_id
        assert anyio.current_time() - began < most_seconds

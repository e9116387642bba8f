"""Snapshots, for tasks, of runs that several processes know."""

import anyio
import httpx
import pytest

from contit_mcp.assistant.reports import RunSnapshot
from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, Stage, set_stage, wall_clock

pytestmark = pytest.mark.anyio


class Asked:
    """An ask whose caller comes back for snapshots."""

    async def begin(self, stage: Stage) -> "Asked":
        self.asked_at_ms = int(wall_clock() * 1000)
        report = await stage.ask("q", wait=0)
        self.run = (OWNER, report.thread_id, str(report.run_id))
        return self

    async def snapshot(self, stage: Stage, *, later_ms: int = 0) -> RunSnapshot:
        """Take one of it, or of another ask that joined the run."""
        return await stage.assistant.snapshot(*self.run, asked_at_ms=self.asked_at_ms + later_ms)

    async def cancel(self, stage: Stage) -> None:
        await stage.assistant.cancel(*self.run, asked_at_ms=self.asked_at_ms)


def two_processes(seconds: float) -> tuple[Stage, Stage]:
    """Two that share a store, each with its own memory."""
    contit, shared = EchoContit(seconds=seconds), MemoryRunStore(now=wall_clock)
    first, second = (set_stage(contit, FallbackRunStore(shared, MemoryRunStore(now=wall_clock))) for _ in range(2))
    return first, second


async def test_a_run_that_one_process_polls_is_not_polled_by_another_for_a_snapshot() -> None:
    first, second = two_processes(20)
    asked = await Asked().begin(first)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, "q")
        await anyio.sleep(5.3)
        polls = first.contit.count("status")
        assert (await asked.snapshot(second)).report.phase is Phase.IN_PROGRESS
        assert first.contit.count("status") == polls
    assert (await asked.snapshot(second)).report.response == answer_to("q")
    assert first.contit.count("response") == 1


async def test_a_run_without_waiting_callers_is_polled_by_any_process() -> None:
    """The one that started it may be gone."""
    first, second = two_processes(1)
    asked = await Asked().begin(first)
    await anyio.sleep(2)
    assert (await asked.snapshot(second)).report.response == answer_to("q")


async def test_an_answer_that_is_no_longer_kept_and_cannot_be_read_is_an_error_not_a_run_that_goes_on() -> None:
    stage = set_stage(EchoContit(seconds=1))
    asked = await Asked().begin(stage)
    await anyio.sleep(2)
    await asked.snapshot(stage)
    await anyio.sleep(3_700)
    stage.contit.instead("response", *[httpx.Response(503)] * 20)
    with pytest.raises(Exception, match="503"):
        await asked.snapshot(stage)
    stage.contit.replies["response"].clear()
    assert (await asked.snapshot(stage)).report.response == answer_to("q")


async def test_an_ask_that_one_process_cancelled_is_cancelled_for_all_that_share_its_store() -> None:
    """And stays so when the run ends (documented: a terminal state does not change)."""
    first, second = two_processes(5)
    asked = await Asked().begin(first)
    assert not (await asked.snapshot(second)).cancelled  # its memory knows the run from now on
    await asked.cancel(first)
    for stage in (first, second):
        assert (await asked.snapshot(stage)).cancelled
        assert not (await asked.snapshot(stage, later_ms=1)).cancelled
    await anyio.sleep(10)
    assert (await asked.snapshot(first)).cancelled
    assert (await asked.snapshot(first, later_ms=1)).report.response == answer_to("q")
    stranger = set_stage(first.contit)  # does not know the run: it can only say what Contit says
    await asked.cancel(stranger)
    assert (await asked.snapshot(stranger)).report.response == answer_to("q")

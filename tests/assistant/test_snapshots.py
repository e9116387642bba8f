"""Snapshots, for tasks, of runs that several processes know."""

from typing import Any

import anyio
import httpx
import pytest

from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, Stage, set_stage, wall_clock

pytestmark = pytest.mark.anyio


async def asked(stage: Stage) -> dict[str, Any]:
    """Ask without waiting, and return how to take snapshots of the ask."""
    asked_at_ms = int(wall_clock() * 1000)
    report = await stage.ask("q", wait=0)
    return {"owner": OWNER, "thread_id": report.thread_id, "run_id": report.run_id, "asked_at_ms": asked_at_ms}


def two_processes(seconds: float) -> tuple[Stage, Stage]:
    """Two that share a store, each with its own memory."""
    contit, shared = EchoContit(seconds=seconds), MemoryRunStore(now=wall_clock)
    first, second = (set_stage(contit, FallbackRunStore(shared, MemoryRunStore(now=wall_clock))) for _ in range(2))
    return first, second


async def test_a_run_that_one_process_polls_is_not_polled_by_another_for_a_snapshot() -> None:
    first, second = two_processes(20)
    run = await asked(first)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, "q")
        await anyio.sleep(5.3)
        polls = first.contit.count("status")
        assert (await second.assistant.snapshot(**run)).phase is Phase.IN_PROGRESS
        assert first.contit.count("status") == polls
    assert (await second.assistant.snapshot(**run)).response == answer_to("q")
    assert first.contit.count("response") == 1


async def test_a_run_without_waiting_callers_is_polled_by_any_process() -> None:
    """The one that started it may be gone."""
    first, second = two_processes(1)
    run = await asked(first)
    await anyio.sleep(2)
    assert (await second.assistant.snapshot(**run)).response == answer_to("q")


async def test_an_answer_that_is_no_longer_kept_and_cannot_be_read_is_an_error_not_a_run_that_goes_on() -> None:
    stage = set_stage(EchoContit(seconds=1))
    run = await asked(stage)
    await anyio.sleep(2)
    await stage.assistant.snapshot(**run)
    await anyio.sleep(3_700)
    stage.contit.instead("response", *[httpx.Response(503)] * 20)
    with pytest.raises(Exception, match="503"):
        await stage.assistant.snapshot(**run)
    stage.contit.replies["response"].clear()
    assert (await stage.assistant.snapshot(**run)).response == answer_to("q")


async def test_an_ask_that_one_process_cancelled_is_cancelled_for_all_that_share_its_store() -> None:
    """And stays so when the run ends (documented: a terminal state does not change)."""
    first, second = two_processes(5)
    run = await asked(first)
    other = run | {"asked_at_ms": run["asked_at_ms"] + 1}  # another ask that joined the run
    assert not (await second.assistant.snapshot(**run)).cancelled  # its memory knows the run from now on
    await first.assistant.cancel(**run)
    for stage in (first, second):
        assert (await stage.assistant.snapshot(**run)).cancelled
        assert not (await stage.assistant.snapshot(**other)).cancelled
    await anyio.sleep(10)
    assert (await first.assistant.snapshot(**run)).cancelled
    assert (await first.assistant.snapshot(**other)).response == answer_to("q")
    stranger = set_stage(first.contit)  # does not know the run: it can only say what Contit says
    await stranger.assistant.cancel(**run)
    assert (await stranger.assistant.snapshot(**run)).response == answer_to("q")

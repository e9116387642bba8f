"""Looks in passing at runs that several processes know: who asks, and what each of them says."""

import anyio
import httpx
import pytest

from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, set_stage, wall_clock

pytestmark = pytest.mark.anyio


def milliseconds() -> int:
    """When an ask is made now."""
    return int(wall_clock() * 1000)


async def test_a_run_that_one_process_polls_is_not_asked_about_by_another_in_passing() -> None:
    contit, store = EchoContit(seconds=20), MemoryRunStore(now=wall_clock)
    first, second = (set_stage(contit, store) for _ in range(2))
    ask = milliseconds()
    started = await first.assistant.ask(OWNER, "q", wait_seconds=0)
    assert started.run_id is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: first.assistant.ask(OWNER, "q", wait_seconds=45))
        await anyio.sleep(5.3)
        polled = contit.count("status")
        snapshot = await second.assistant.snapshot(OWNER, started.thread_id, started.run_id, asked_at_ms=ask)
        assert (snapshot.report.phase, contit.count("status")) == (Phase.IN_PROGRESS, polled)
    snapshot = await second.assistant.snapshot(OWNER, started.thread_id, started.run_id, asked_at_ms=ask)
    assert snapshot.report.response == answer_to("q")
    assert contit.count("response") == 1


async def test_what_another_process_has_noted_is_met_although_memory_knows_the_run() -> None:
    contit, shared = EchoContit(seconds=60), MemoryRunStore(now=wall_clock)
    first, second = (set_stage(contit, FallbackRunStore(shared, MemoryRunStore(now=wall_clock))) for _ in range(2))
    ask = milliseconds()
    started = await first.assistant.ask(OWNER, "q", wait_seconds=0)
    assert started.run_id is not None
    run = (OWNER, started.thread_id, started.run_id)
    assert not (await second.assistant.snapshot(*run, asked_at_ms=ask)).cancelled
    await first.assistant.cancel(*run, asked_at_ms=ask)
    assert (await second.assistant.snapshot(*run, asked_at_ms=ask)).cancelled
    assert (await first.assistant.snapshot(*run, asked_at_ms=ask)).cancelled


async def test_a_run_whose_asker_comes_back_is_held_by_nobody_meanwhile() -> None:
    """Any process asks about it at once, although the one that started it may be gone."""
    contit, store = EchoContit(seconds=1), MemoryRunStore(now=wall_clock)
    first, second = (set_stage(contit, store) for _ in range(2))
    ask = milliseconds()
    started = await first.assistant.ask(OWNER, "q", wait_seconds=0)
    assert started.run_id is not None
    await anyio.sleep(2)
    snapshot = await second.assistant.snapshot(OWNER, started.thread_id, started.run_id, asked_at_ms=ask)
    assert snapshot.report.response == answer_to("q")


async def test_an_answer_that_is_no_longer_kept_and_cannot_be_read_is_an_error_not_a_run_that_goes_on() -> None:
    stage = set_stage(EchoContit(seconds=1))
    ask = milliseconds()
    started = await stage.assistant.ask(OWNER, "q", wait_seconds=0)
    assert started.run_id is not None
    await anyio.sleep(2)
    await stage.assistant.snapshot(OWNER, started.thread_id, started.run_id, asked_at_ms=ask)
    await anyio.sleep(3_700)
    stage.contit.instead("response", *[httpx.Response(503)] * 20)
    with pytest.raises(Exception, match="503"):
        await stage.assistant.snapshot(OWNER, started.thread_id, started.run_id, asked_at_ms=ask)
    stage.contit.replies["response"].clear()
    snapshot = await stage.assistant.snapshot(OWNER, started.thread_id, started.run_id, asked_at_ms=ask)
    assert snapshot.report.response == answer_to("q")


async def test_what_one_process_is_told_is_cancelled_is_so_for_all_that_share_its_store() -> None:
    """And stays so when the run ends (documented: a terminal state does not change)."""
    contit, store = EchoContit(seconds=5), MemoryRunStore(now=wall_clock)
    first, second = (set_stage(contit, store) for _ in range(2))
    ask = milliseconds()
    started = await first.assistant.ask(OWNER, "q", wait_seconds=0)
    assert started.run_id is not None
    run = (OWNER, started.thread_id, started.run_id)
    await second.assistant.cancel(*run, asked_at_ms=ask)
    for stage in (first, second):
        assert (await stage.assistant.snapshot(*run, asked_at_ms=ask)).cancelled
        assert not (await stage.assistant.snapshot(*run, asked_at_ms=ask + 1)).cancelled
    await anyio.sleep(10)
    assert (await first.assistant.snapshot(*run, asked_at_ms=ask)).cancelled
    assert (await first.assistant.snapshot(*run, asked_at_ms=ask + 1)).report.response == answer_to("q")
    stranger = set_stage(contit)  # has never heard of the run: it can only say what Contit says
    await stranger.assistant.cancel(*run, asked_at_ms=ask)
    assert (await stranger.assistant.snapshot(*run, asked_at_ms=ask)).report.response == answer_to("q")


async def test_a_start_that_joins_an_answer_which_is_still_owed_gives_it_itself() -> None:
    """A second question for it would start a run, where another call has fetched the answer meanwhile."""
    stage = set_stage(EchoContit(seconds=2))
    await stage.assistant.ask(OWNER, "q", wait_seconds=0)
    await anyio.sleep(10)
    given = await stage.assistant.ask(OWNER, "q", wait_seconds=0)
    assert (given.phase, given.response, given.age_seconds) == (Phase.COMPLETED, answer_to("q"), 10.0)
    assert stage.contit.started("q") == 1
    anew = await stage.assistant.ask(OWNER, "q", wait_seconds=0)  # it is owed to nobody any more
    assert (anew.phase, stage.contit.started("q")) == (Phase.IN_PROGRESS, 2)

"""What a caller finds of its earlier runs, and what is stored of them."""

import anyio
import pytest

from contit_mcp.runs.record import Phase
from contit_mcp.runs.store import RetentionPolicy
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, set_stage, wall_clock

pytestmark = pytest.mark.anyio


async def test_the_runs_of_an_owner_are_listed_newest_first_with_the_titles_that_were_given() -> None:
    stage = set_stage(EchoContit(durations={"going": 1e6}, end_words={"bad": "failed"}))
    first = await stage.assistant.ask(OWNER, "one", wait_seconds=45, title="One …")
    await stage.assistant.ask(OWNER, "more", first.thread_id, wait_seconds=45)
    await stage.assistant.start(OWNER, "going", wait_seconds=45, title="Going on")
    await stage.assistant.ask("other", "foreign", wait_seconds=45, title="Foreign")
    runs = await stage.assistant.runs(OWNER)
    assert [(run.title, run.phase, run.response) for run in runs] == [
        ("Going on", Phase.IN_PROGRESS, None),
        (None, Phase.COMPLETED, None),
        ("One …", Phase.COMPLETED, None),
    ]
    assert runs[1].thread_id == runs[2].thread_id == first.thread_id
    assert runs[2].elapsed_seconds == pytest.approx(3.0)
    assert runs[0].asked_at == pytest.approx(wall_clock(), abs=5)
    assert len(await stage.assistant.runs(OWNER, 2)) == 2


async def test_nothing_is_listed_of_foreign_and_forgotten_runs() -> None:
    stage = set_stage(retention=RetentionPolicy(answer=10, record=100))
    await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert await stage.assistant.runs("other") == []
    await anyio.sleep(11)
    assert [run.phase for run in await stage.assistant.runs(OWNER)] == [Phase.COMPLETED]
    await anyio.sleep(100)
    assert await stage.assistant.runs(OWNER) == []


async def test_an_ask_can_wait_for_its_answer_for_less_than_for_its_thread() -> None:
    stage = set_stage(EchoContit(durations={"long": 20, "next": 100, "quick": 1}))
    busy = await stage.assistant.start(OWNER, "long", wait_seconds=45)
    began = anyio.current_time()
    report = await stage.assistant.ask(OWNER, "next", busy.thread_id, wait_seconds=45, answer_seconds=8)
    assert (report.phase, report.response) == (Phase.IN_PROGRESS, None)
    assert anyio.current_time() - began == pytest.approx(28, abs=1)
    quick = await stage.assistant.ask(OWNER, "quick", wait_seconds=45, answer_seconds=8)
    assert quick.response == answer_to("quick")


async def test_a_caller_that_leaves_during_start_gets_the_run_when_it_asks_again() -> None:
    stage = set_stage(EchoContit(seconds=3, latency=2))
    zero = await stage.assistant.ask(OWNER, "zero", wait_seconds=45)
    with anyio.move_on_after(1):
        await stage.assistant.start(OWNER, "q", zero.thread_id, wait_seconds=45)
    await anyio.sleep(30)
    again = await stage.assistant.start(OWNER, "q", zero.thread_id, wait_seconds=45)
    assert (again.phase, stage.contit.started("q")) == (Phase.COMPLETED, 1)
    answer = await stage.assistant.response(OWNER, again.thread_id, again.run_id, wait_seconds=5)
    assert answer.response == answer_to("q")

"""The same question runs once, an answer that a caller missed is given once, and a thread has one run at a time."""

from functools import partial

import anyio
import httpx
import pytest

from contit_mcp.errors import ThreadBusyError
from contit_mcp.runs.record import Phase
from tests.echo_contit import EchoContit, answer_to
from tests.stage import Notes, set_stage

pytestmark = pytest.mark.anyio


async def test_a_question_that_20_callers_ask_at_once_runs_once_and_is_polled_as_for_one() -> None:
    alone, crowd = (set_stage(EchoContit(seconds=20, latency=0.1)) for _ in range(2))
    await alone.ask("q")
    answers: list[str | None] = []

    async def ask() -> None:
        answers.append((await crowd.ask("q")).response)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    assert answers == [answer_to("q")] * 20
    assert crowd.contit.started("q") == 1
    for endpoint in ("status", "response"):
        assert crowd.contit.count(endpoint) == alone.contit.count(endpoint)


async def test_when_the_caller_that_polls_leaves_another_one_polls_on() -> None:
    stage, notes = set_stage(EchoContit(seconds=20)), Notes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(stage.leave, after=2.0))
        await anyio.sleep(1)
        assert (await stage.ask("q", observer=notes)).response == answer_to("q")
    assert stage.contit.started("q") == 1
    assert (notes.heard[0], notes.heard[-1]) == ("thread_1/run_2", "completed")


async def test_start_and_ask_of_one_question_share_its_run_also_on_the_thread_that_it_began() -> None:
    stage = set_stage(EchoContit(seconds=60))
    first, second = await stage.start("q"), await stage.start("q")
    third = await stage.ask("q", first.thread_id, wait=20)
    fourth = await stage.ask("q")
    assert {report.run_id for report in (first, second, third, fourth)} == {first.run_id}
    assert (third.phase, fourth.response) == (Phase.IN_PROGRESS, answer_to("q"))
    assert [report.deduplicated for report in (first, second, third, fourth)] == [False, True, True, True]


async def test_a_caller_that_leaves_during_start_gets_the_run_when_it_asks_again() -> None:
    stage = set_stage(EchoContit(seconds=3, latency=2))
    zero = await stage.ask("zero")
    with anyio.move_on_after(1):
        await stage.start("q", zero.thread_id)
    await anyio.sleep(30)
    again = await stage.start("q", zero.thread_id)
    assert (again.phase, stage.contit.started("q")) == (Phase.COMPLETED, 1)
    assert (await stage.response(again)).response == answer_to("q")


async def test_a_follow_up_that_is_repeated_after_its_answer_is_a_new_question() -> None:
    stage = set_stage(EchoContit(seconds=10))
    first = await stage.ask("list")
    for _ in range(2):
        report = await stage.ask("more", first.thread_id)
        assert (report.response, report.age_seconds) == (answer_to("more"), None)
    assert stage.contit.started("more") == 2


@pytest.mark.parametrize(("seconds", "pause", "again"), [(10, 60, True), (10, 121, False), (2, 0, False)])
async def test_a_slow_answer_of_a_new_conversation_is_given_again_once_within_two_minutes(
    seconds: float, pause: float, again: bool
) -> None:
    """The host may have given up before a slow answer came."""
    stage = set_stage(EchoContit(seconds=seconds))
    first = await stage.ask("q")
    await anyio.sleep(pause)
    second = await stage.ask("q")
    assert (second.run_id == first.run_id) is again
    if again:
        assert second.age_seconds == pytest.approx(70, abs=1)  # since it was asked
        third = await stage.ask("q")
        assert (third.run_id != first.run_id, third.age_seconds) == (True, None)


@pytest.mark.parametrize("reachable", [True, False])
async def test_a_thread_that_stays_busy_for_the_whole_wait_is_an_error_with_the_id_of_its_run(reachable: bool) -> None:
    stage = set_stage(EchoContit(durations={"long": 100}))
    first = await stage.ask("zero")
    busy = await stage.start("long", first.thread_id)
    if not reachable:
        stage.contit.instead("status", httpx.Response(401))
    began = anyio.current_time()
    with pytest.raises(ThreadBusyError) as caught:
        await stage.ask("two", first.thread_id, wait=30)
    assert anyio.current_time() - began <= 30
    assert caught.value.run_id == busy.run_id
    assert stage.contit.started("two") == 0


async def test_a_start_is_not_sent_when_the_thread_is_free_less_than_5_seconds_before_the_deadline() -> None:
    """A start cannot be cut short, so it would outlast the caller."""
    stage = set_stage(EchoContit(durations={"long": 23}))
    zero = await stage.ask("zero")
    await stage.start("long", zero.thread_id)
    with pytest.raises(ThreadBusyError):
        await stage.ask("late", zero.thread_id, wait=25)
    assert stage.contit.started("late") == 0
    assert (await stage.ask("late", zero.thread_id, wait=25)).response == answer_to("late")


async def test_a_hundred_asks_at_once_swap_nothing() -> None:
    """Contit's response has no run id, so two runs at once on a thread could swap their answers (documented)."""
    stage = set_stage(EchoContit(seconds=2, latency=0.05))
    thread_id = (await stage.ask("zero")).thread_id
    wrong: list[str] = []

    async def ask(prompt: str, thread: str | None) -> None:
        if (await stage.ask(prompt, thread, wait=240)).response != answer_to(prompt):
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


@pytest.mark.parametrize("wait", [0.0, 45.0])
async def test_an_answer_that_its_caller_did_not_wait_for_is_given_once_with_its_age(wait: float) -> None:
    """Nothing polled the run when it ended."""
    stage = set_stage(EchoContit(seconds=60))
    first = await stage.ask("q", wait=20)
    await anyio.sleep(1_000)
    report = await stage.ask("q", wait=wait)
    assert (report.run_id, report.response) == (first.run_id, answer_to("q"))
    assert report.age_seconds == pytest.approx(1_020, abs=1)
    await stage.ask("q", wait=wait)
    assert stage.contit.started("q") == 2


async def test_a_run_of_contit_start_that_ended_unseen_does_not_answer_a_later_ask() -> None:
    stage = set_stage()
    first = await stage.start("q")
    await anyio.sleep(5 * 3_600)
    report = await stage.ask("q")
    assert report.run_id != first.run_id
    assert (report.deduplicated, report.age_seconds) == (False, None)

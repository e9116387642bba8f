"""Two processes on one store: which of them starts, which polls, and how the runs of a killed one go on.

The last section is about the one window that cannot be closed: a process dies after it has sent a start and before it
has stored the ids. A retry starts the question again and says that it may run twice.
"""

from functools import partial

import anyio
import httpx
import pytest

from contit_mcp.assistant.reports import RunReport
from contit_mcp.errors import RateLimitError, RunTimeoutError, StartUnknownError
from contit_mcp.runs.record import Phase
from tests.durability.world import World
from tests.echo_contit import EchoContit, answer_to
from tests.stage import Stage, set_stage

pytestmark = pytest.mark.anyio

# --- polling


def test_when_the_polling_process_dies_another_takes_over_within_10_seconds(world: World) -> None:
    world.ask(0, "q")
    world.pass_time(7.0)
    second = world.ask(1, "q")
    world.pass_time(1.0)
    world.kill(0)
    before = world.contit.polls[second.number]
    world.pass_time(10.0)
    assert world.contit.polls[second.number] > before
    world.pass_time(10.0)
    assert second.got.response == "run_1 answers 'q'"
    assert len(world.history.runs) == 1


@pytest.mark.parametrize(("latency", "leaves_after"), [(0.0, 5.0), (0.5, 0.2)], ids=["polling", "starting"])
async def test_a_caller_that_leaves_delays_no_answer_in_another_process(latency: float, leaves_after: float) -> None:
    first = set_stage(EchoContit(seconds=20, latency=latency))
    second = first.second()
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(first.leave, after=leaves_after))
        await anyio.sleep(2.0)
        assert (await second.ask("q")).response == answer_to("q")
    assert 20.0 <= anyio.current_time() - began < 24.0
    polls = [at - began for endpoint, at in first.contit.requests if endpoint == "status"]
    assert any(5.0 < at < 7.0 for at in polls)
    assert first.contit.count("start") == 1


async def test_a_deduplicated_ask_polls_once_while_another_process_polls() -> None:
    alone = set_stage(EchoContit(seconds=20))
    await alone.ask("q")
    first = set_stage(EchoContit(seconds=20))
    second = first.second()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, "q")
        await anyio.sleep(2.0)
        assert (await second.ask("q")).response == answer_to("q")
    assert first.contit.count("status") == alone.contit.count("status") + 1
    assert first.contit.count("response") == 1


async def test_a_retry_after_for_one_process_delays_no_answer_that_another_one_stored() -> None:
    first = set_stage(EchoContit(seconds=20))
    second = first.second()
    second.client.backoff.failed(RateLimitError("", hint="", status_code=429, retry_after=600.0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, "q")
        await anyio.sleep(2.0)
        began = anyio.current_time()
        assert (await second.ask("q")).response == answer_to("q")
    assert anyio.current_time() - began < 20.0


def test_after_a_restart_a_run_is_given_up_once_the_new_process_has_seen_it_going_for_the_limit(world: World) -> None:
    """The wall clock alone does not tell: it may be wrong by hours."""
    world.contit.lasts = 1e6
    started = world.call("start", 0, prompt="endless")
    world.pass_time(1_000.0)
    world.kill(0)
    world.restart(0)
    read = partial(world.call, "response", 0, thread_id=started.got.thread_id, run_id=started.got.run_id)
    going = read(wait=10.0)
    world.pass_time(1_700.0)
    assert going.got.phase is Phase.IN_PROGRESS
    assert going.got.elapsed_seconds == pytest.approx(1_010.0, abs=1)
    late = read(wait=240.0)
    world.pass_time(240.0)
    assert isinstance(late.error, RunTimeoutError)
    assert late.ended is not None
    assert late.ended - late.began == pytest.approx(100.0, abs=6.0)


# --- starting


async def test_a_start_put_off_for_more_than_5_seconds_is_deduplicated_if_another_process_has_started() -> None:
    """Its intent would end before the start could arrive, so it claims again."""
    first = set_stage(EchoContit(seconds=20))
    second = first.second()
    first.contit.instead("start", httpx.Response(429, headers={"Retry-After": "30"}))
    reports: list[RunReport] = []

    async def ask(stage: Stage, after: float) -> None:
        await anyio.sleep(after)
        reports.append(await stage.ask("q", wait=60))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first, 0.0)
        tasks.start_soon(ask, second, 26.0)  # the intent of the first has ended by then
    assert [report.response for report in reports] == [answer_to("q")] * 2
    assert first.contit.started("q") == 1
    assert sorted(report.deduplicated for report in reports) == [False, True]


def test_a_refused_start_does_not_block_the_same_question_in_another_process(world: World) -> None:
    world.contit.refusals += ["429"]
    world.contit.arrives = 1.0
    first = world.ask(0, "q", wait=5.0)
    world.pass_time(0.5)
    second = world.ask(1, "q")
    world.pass_time(4.0)
    assert isinstance(first.error, RateLimitError)
    assert len(world.history.runs) == 1
    world.pass_time(25.0)
    assert second.got.response == "run_1 answers 'q'"
    assert not second.got.maybe_twice


# --- the window that cannot be closed


@pytest.mark.parametrize(("killed_after", "store_seconds"), [(0.0, 0.0), (0.06, 0.7)], ids=["accepted", "replied"])
def test_after_a_crash_between_sending_a_start_and_storing_its_ids_the_retry_starts_again_and_says_so(
    world: World, killed_after: float, store_seconds: float
) -> None:
    """Contit has no idempotency key (documented)."""
    world.shared.seconds = store_seconds
    world.contit.lasts = 10.0
    world.ask(0, "q")
    while not world.history.runs:
        world.pass_time(0.005)
    world.pass_time(killed_after)
    world.kill(0)
    (unknown,) = world.history.runs
    assert not unknown.stored
    asked = world.now
    retry = world.ask(1, "q")
    world.pass_time(24.0)
    assert len(world.history.runs) == 1, "the retry waits until the intent has ended, after 25 s"
    world.pass_time(45.0)
    assert retry.got.response == "run_2 answers 'q'"
    assert retry.got.maybe_twice
    assert world.history.runs[1].sent - asked < 25.5


def test_a_start_of_unknown_fate_is_not_sent_again_for_the_same_question_in_another_process(world: World) -> None:
    world.contit.replies = 60.0
    first = world.ask(0, "q")
    world.pass_time(1.0)
    second = world.ask(1, "q")
    world.pass_time(20.0)
    assert isinstance(first.error, StartUnknownError)
    assert isinstance(second.error, StartUnknownError)
    assert len(world.history.runs) == 1

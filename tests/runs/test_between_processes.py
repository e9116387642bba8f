"""Two processes on one store: who starts, who polls, and what becomes of the runs of one that was killed.

The one window that cannot be closed is here too: a start was sent, and nobody has stored its ids. A retry says so.
"""

from functools import partial

import anyio
import httpx
import pytest

from contit_mcp.assistant.reports import RunReport
from contit_mcp.errors import APITimeoutError, RateLimitError, RunTimeoutError, StartUnknownError
from contit_mcp.runs.record import Phase
from tests.durability.world import World
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, Stage, set_stage

pytestmark = pytest.mark.anyio

# --- who polls


def test_when_the_polling_process_dies_another_takes_over_within_10_seconds(world: World) -> None:
    world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(7.0)
    second = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(1.0)
    world.kill(0)
    before = world.contit.requests[second.number, "status"]
    world.pass_time(10.0)
    assert world.contit.requests[second.number, "status"] > before
    world.pass_time(10.0)
    assert second.got.response == "run_1 answers 'q'"
    assert len(world.history.runs) == 1


@pytest.mark.parametrize(("latency", "leaves_after"), [(0.0, 5.0), (0.5, 0.2)], ids=["polling", "starting"])
async def test_a_caller_that_leaves_holds_up_nobody_in_another_process(latency: float, leaves_after: float) -> None:
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


async def test_who_joins_asks_contit_once_while_the_other_process_polls() -> None:
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


async def test_a_pause_that_contit_asked_one_process_for_delays_no_answer_that_another_stored() -> None:
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
    """The wall clock alone would not do: it may be wrong by hours."""
    world.contit.lasts = 1e6
    started = world.start(0, OWNER, "endless", None, 45.0)
    world.pass_time(1_000.0)
    world.kill(0)
    world.restart(0)
    ids = (started.got.thread_id, str(started.got.run_id))
    going = world.response(0, OWNER, *ids, 10.0)
    world.pass_time(1_700.0)
    assert going.got.phase is Phase.IN_PROGRESS
    assert going.got.elapsed_seconds == pytest.approx(1_010.0, abs=1)
    world.history.strict = False  # its model knows no limit
    late = world.response(0, OWNER, *ids, 240.0)
    with pytest.raises(AssertionError, match="RunTimeoutError"):
        world.pass_time(240.0)
    world.history.wrongs.clear()
    assert isinstance(late.error, RunTimeoutError)
    assert late.ended is not None
    assert late.ended - late.began == pytest.approx(100.0, abs=6.0)


# --- who starts


async def test_a_retry_put_off_for_more_than_5_seconds_joins_what_another_process_started_meanwhile() -> None:
    """Its intent would end before the start could be through, so it claims anew."""
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


def test_a_refused_start_blocks_nobody_who_had_joined_it(world: World) -> None:
    world.contit.refusals += ["429"]
    world.contit.arrives = 1.0
    first = world.ask(0, OWNER, "q", None, 5.0)
    world.pass_time(0.5)
    second = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(4.0)
    assert isinstance(first.error, RateLimitError)
    assert len(world.history.runs) == 1
    world.pass_time(25.0)
    assert second.got.response == "run_1 answers 'q'"
    assert not second.got.maybe_twice


# --- the window


def test_a_retry_that_gives_up_before_the_intent_ends_has_started_nothing(world: World) -> None:
    world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(0.06)
    world.kill(0)
    early = world.ask(1, OWNER, "q", None, 10.0)
    world.pass_time(26.0)
    assert isinstance(early.error, APITimeoutError)
    late = world.start(1, OWNER, "q", None, 10.0)
    world.pass_time(1.0)
    assert late.got.maybe_twice


@pytest.mark.parametrize("after", [0.06, 0.09, 0.1], ids=["accepted", "answered", "before its ids were stored"])
def test_a_crash_between_sending_a_start_and_storing_its_ids_starts_anew_and_says_so(
    world: World, after: float
) -> None:
    """Contit has no idempotency key (documented)."""
    world.shared.seconds = 0.0 if after < 0.1 else 0.2
    world.contit.lasts = 10.0
    world.ask(0, OWNER, "q", None, 45.0)
    while not world.history.runs:
        world.pass_time(0.005)
    world.pass_time(after - 0.06)
    world.kill(0)
    (unknown,) = world.history.runs
    assert not unknown.stored
    asked = world.now
    retry = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(24.0)
    assert len(world.history.runs) == 1, "the intent stands for 25 s"
    world.pass_time(45.0)
    assert retry.got.response == "run_2 answers 'q'"
    assert retry.got.maybe_twice
    assert world.history.runs[1].sent - asked < 25.5


@pytest.mark.parametrize("refusal", ["429", "503"])
def test_a_retry_that_is_refused_leaves_the_warning_to_the_next_one(world: World, refusal: str) -> None:
    """The run of the first may still exist."""
    world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(0.06)
    world.kill(0)
    world.pass_time(26.0)
    world.contit.refusals += [refusal] * 4
    refused = world.ask(1, OWNER, "q", None, 1.0)
    world.pass_time(3.0)
    assert refused.error is not None
    world.contit.refusals.clear()
    again = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(30.0)
    assert again.got.maybe_twice


def test_a_start_of_unknown_fate_is_not_sent_again_by_who_joined_it_in_another_process(world: World) -> None:
    world.contit.replies = 60.0
    first = world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(1.0)
    second = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(20.0)
    assert isinstance(first.error, StartUnknownError)
    assert isinstance(second.error, StartUnknownError)
    assert len(world.history.runs) == 1

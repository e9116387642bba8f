"""Status, response, snapshots and the list: of runs that go on, ended, were replaced, or are unknown to the store."""

import io
import json
from typing import Any

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.runs.record import Phase
from contit_mcp.runs.store import RetentionPolicy
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, Notes, Stage, set_stage, wall_clock

pytestmark = pytest.mark.anyio


async def test_status_polls_once_and_with_a_wait_until_the_run_ends() -> None:
    stage, notes = set_stage(EchoContit(seconds=10)), Notes()
    run = await stage.start("q")
    began = anyio.current_time()
    assert (await stage.status(run, observer=notes)).phase is Phase.IN_PROGRESS
    assert (stage.contit.count("status"), anyio.current_time() - began) == (1, 0)
    assert notes.heard == [f"{run.thread_id}/{run.run_id}"]
    assert (await stage.status(run, wait=4)).phase is Phase.IN_PROGRESS
    assert anyio.current_time() - began == pytest.approx(4)
    report = await stage.status(run, wait=60)
    assert (report.phase, report.response) == (Phase.COMPLETED, None)
    assert anyio.current_time() - began < 11
    requests = len(stage.contit.requests)
    assert (await stage.status(run)).phase is Phase.COMPLETED
    assert len(stage.contit.requests) == requests  # the end is stored


async def test_a_status_word_that_contit_does_not_document_is_understood_and_logged_once(logged: io.StringIO) -> None:
    stage = set_stage()
    run = await stage.start("q")
    stage.contit.instead("status", *[httpx.Response(200, json={"status": "queued"})] * 100)
    for wait in (0, 0, 2, 2, 0):
        assert (await stage.status(run, wait=wait)).phase is Phase.IN_PROGRESS
    for word, phase in (("Expired", Phase.FAILED), ("COMPLETED", Phase.COMPLETED), ("completed", Phase.COMPLETED)):
        stage.contit.replies["status"] = [httpx.Response(200, json={"status": word})] * 2
        for _ in range(2):
            assert (await stage.assistant.status(OWNER, run.thread_id, "run_unknown")).phase is phase
    words = [json.loads(line)["word"] for line in logged.getvalue().splitlines() if "undocumented_status" in line]
    assert words == ["queued", "Expired", "COMPLETED"]


@pytest.mark.parametrize(("reply", "error"), [(404, errors.RunNotFoundError), (500, errors.InternalServerError)])
async def test_status_of_an_unknown_run_or_from_a_faulty_contit_is_an_error(reply: int, error: type[Exception]) -> None:
    stage = set_stage()
    stage.contit.instead("status", *[httpx.Response(reply)] * 20)
    with pytest.raises(error):
        await stage.assistant.status(OWNER, "thread_x", "run_x")


async def test_status_sends_no_poll_while_another_caller_waits_for_the_run() -> None:
    stage = set_stage(EchoContit(seconds=20))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.ask, "q")
        await anyio.sleep(0.6)
        polls = stage.contit.count("status")
        report = await stage.assistant.status(OWNER, "thread_1", "run_2")
        assert (report.phase, stage.contit.count("status")) == (Phase.IN_PROGRESS, polls)


async def test_the_response_of_an_earlier_run_is_that_runs_own_answer() -> None:
    """Contit itself would return the newer answer, because its response takes no run id."""
    stage = set_stage()
    zero = await stage.ask("zero")
    await stage.ask("one", zero.thread_id)
    report = await stage.response(zero)
    assert report.response == answer_to("zero")
    assert report.elapsed_seconds == pytest.approx(3.0)  # how long it ran, not how long ago
    assert (report.deduplicated, report.age_seconds) == (False, None)


async def test_an_answer_that_is_not_stored_is_read_again_unless_a_later_run_is_known() -> None:
    stage = set_stage(retention=RetentionPolicy(answer=0))
    zero = await stage.ask("zero")
    assert zero.response == answer_to("zero")
    reads = stage.contit.count("response")
    assert (await stage.response(zero)).response == answer_to("zero")
    assert stage.contit.count("response") == reads + 1
    stage.contit.instead("response", *[httpx.Response(200, html="<html>")] * 10)
    with pytest.raises(errors.AnswerUnreadableError):
        await stage.response(zero)
    stage.contit.replies.clear()
    await stage.ask("one", zero.thread_id)
    with pytest.raises(errors.AnswerUnavailableError, match="later run") as caught:
        await stage.response(zero)
    assert (caught.value.thread_id, caught.value.run_id) == (zero.thread_id, zero.run_id)


async def test_an_answer_that_another_run_replaced_while_it_was_read_is_refused() -> None:
    """Contit returns the latest answer of the thread, whichever run gave it (documented)."""
    stage = set_stage(EchoContit(seconds=0.1), retention=RetentionPolicy(answer=10))
    first = await stage.ask("one")
    await anyio.sleep(20)
    stage.contit.instead("response", httpx.Response(503), httpx.Response(503))

    async def read() -> None:
        with pytest.raises(errors.AnswerUnavailableError):
            await stage.response(first)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.sleep(0.1)
        await stage.ask("two", first.thread_id)


# --- runs that the store does not know


async def test_an_unknown_run_is_waited_for_and_without_its_id_the_latest_answer_is_returned() -> None:
    stage = set_stage(EchoContit(seconds=10))
    run = await stage.start("q")
    report = await set_stage(stage.contit).response(run)
    assert (report.response, report.elapsed_seconds) == (answer_to("q"), None)
    latest = await set_stage(stage.contit).assistant.response(OWNER, run.thread_id, wait_seconds=45)
    assert (latest.phase, latest.response) == (Phase.COMPLETED, answer_to("q"))
    assert (latest.thread_id, latest.run_id) == (run.thread_id, None)


async def test_the_answer_of_an_unknown_run_is_refused_when_another_run_is_known_on_its_thread() -> None:
    """The thread's answer could be the other run's."""
    stage = set_stage()
    old = await stage.ask("old")
    fresh = set_stage(stage.contit)
    await fresh.ask("new", old.thread_id)
    with pytest.raises(errors.AnswerUnavailableError):
        await fresh.response(old)


async def test_a_fault_at_the_first_poll_of_an_unknown_run_is_an_error_if_it_lasts() -> None:
    run = await (stage := set_stage()).start("q")
    stage.contit.instead("status", *[httpx.Response(503)] * 50)
    with pytest.raises(errors.InternalServerError):
        await set_stage(stage.contit).response(run)
    stage.contit.replies["status"] = [httpx.Response(503)]
    assert (await set_stage(stage.contit).response(run)).response == answer_to("q")


async def test_waiting_for_an_unknown_run_does_not_store_it() -> None:
    stage = set_stage(EchoContit(seconds=100))
    run = await stage.start("q")
    fresh = set_stage(stage.contit)
    report = await fresh.response(run, wait=5)
    assert (report.phase, report.run_id, report.elapsed_seconds) == (Phase.IN_PROGRESS, run.run_id, None)
    fresh.contit.instead("status", httpx.Response(403))
    with pytest.raises(errors.RunUnreachableError):
        await fresh.response(run)


# --- snapshots, for tasks


async def asked(stage: Stage) -> dict[str, Any]:
    """Ask without waiting, and return the arguments for snapshots of that ask."""
    asked_at_ms = int(wall_clock() * 1000)
    report = await stage.ask("q", wait=0)
    return {"owner": OWNER, "thread_id": report.thread_id, "run_id": report.run_id, "asked_at_ms": asked_at_ms}


async def test_a_run_that_one_process_polls_is_not_polled_by_another_for_a_snapshot() -> None:
    first = set_stage(EchoContit(seconds=20))
    second, ask = first.second(), await asked(first)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, "q")
        await anyio.sleep(5.3)
        polls = first.contit.count("status")
        assert (await second.assistant.snapshot(**ask)).phase is Phase.IN_PROGRESS
        assert first.contit.count("status") == polls
    assert (await second.assistant.snapshot(**ask)).response == answer_to("q")
    assert first.contit.count("response") == 1


async def test_a_snapshot_of_an_answer_that_is_no_longer_stored_and_cannot_be_read_is_an_error() -> None:
    stage = set_stage(EchoContit(seconds=1))
    ask = await asked(stage)
    await anyio.sleep(2)
    await stage.assistant.snapshot(**ask)
    await anyio.sleep(3_700)
    stage.contit.instead("response", *[httpx.Response(503)] * 20)
    with pytest.raises(errors.InternalServerError):
        await stage.assistant.snapshot(**ask)
    stage.contit.replies["response"].clear()
    assert (await stage.assistant.snapshot(**ask)).response == answer_to("q")


# --- bounds


@pytest.mark.parametrize("bad", ["", " \t", ".", "..", "a\nb", "x" * 257, "nul\x00", "a\u2028", "a\u200bb", "a\udfffb"])
async def test_ids_that_cannot_be_ids_are_refused_before_any_request(bad: str) -> None:
    stage = set_stage()
    for name, call in (
        ("thread_id", stage.ask("q", bad)),
        ("thread_id", stage.assistant.status(OWNER, bad, "run")),
        ("run_id", stage.assistant.response(OWNER, "thread", bad, wait_seconds=45)),
        ("thread_id", stage.assistant.response(OWNER, bad, wait_seconds=45)),
    ):
        with pytest.raises(errors.InvalidArgumentError, match=name):
            await call
    assert stage.contit.requests == []


async def test_a_wait_shorter_than_contits_round_trips_still_sees_the_end() -> None:
    """A call sends one poll even if its wait leaves no time for it."""
    stage = set_stage(EchoContit(seconds=3, latency=0.6))
    run = await stage.start("q")
    await anyio.sleep(100)
    assert (await stage.response(run, wait=1)).response == answer_to("q")


@pytest.mark.parametrize("known", [True, False])
async def test_a_slow_contit_extends_a_short_wait_by_a_few_seconds_only(known: bool) -> None:
    stage = set_stage(EchoContit(seconds=100))
    run = await stage.start("q")
    await anyio.sleep(5)
    stage.contit.latency = 19
    began = anyio.current_time()
    if known:
        assert (await stage.status(run)).phase is Phase.IN_PROGRESS
    else:
        fresh = set_stage(stage.contit)
        for run_id in (run.run_id, None):
            with pytest.raises(errors.APITimeoutError):
                await fresh.assistant.response(OWNER, run.thread_id, run_id, wait_seconds=0)
    assert anyio.current_time() - began < 17


# --- the list


async def test_the_runs_of_an_owner_are_listed_newest_first_with_the_titles_that_were_given() -> None:
    stage = set_stage(EchoContit(durations={"going": 1e6}), retention=RetentionPolicy(record=100))
    first = await stage.ask("one", title="One …")
    await stage.ask("more", first.thread_id)
    await stage.ask("going", wait=0, title="Going on")
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
    await anyio.sleep(110)
    assert await stage.assistant.runs(OWNER) == []

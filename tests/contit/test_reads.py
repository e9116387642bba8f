"""Asking where a run stands, and reading the answer. Virtual time."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.wire import RunPhase
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.contit.upstream import BASE_URL, HANGS, contit_client, scripted
from tests.echo_contit import Reply, Script

pytestmark = pytest.mark.anyio

Read = Callable[[ContitClient], Awaitable[object]]

ANSWER = Reply(body={"status": "completed", "response": "Twelve articles."})
READS: dict[str, Read] = {
    "status": lambda client: client.run_status("thread-1", "run-1"),
    "response": lambda client: client.thread_response("thread-1"),
}
YOUNG: dict[str, Read] = {
    "status": lambda client: client.run_status("t", "r", just_started=True),
    "response": lambda client: client.thread_response("t", just_completed=True),
}
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)
each_young = pytest.mark.parametrize("read", YOUNG.values(), ids=YOUNG)


async def test_the_documented_requests_are_sent_and_unknown_fields_are_ignored() -> None:
    upstream = scripted(
        Reply(body={"status": "completed", "error": None}), Reply(body={"response": "a", "sources": []})
    )
    client = contit_client(upstream)
    assert (await client.run_status("thread-1", "run-1")).word == "completed"
    assert await client.thread_response("thread-1") == "a"
    sent = [(request.method, str(request.url), request.content) for request in upstream.received]
    assert sent == [
        ("GET", f"{BASE_URL}/ai-assistant/thread/thread-1/run/run-1/status", b""),
        ("GET", f"{BASE_URL}/ai-assistant/thread/thread-1/response", b""),
    ]


@each_read
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 418, 422])
async def test_a_read_that_was_refused_for_good_is_sent_once(read: Read, status: int) -> None:
    upstream = scripted(Reply(status, headers={"Location": "https://elsewhere.test/"}))
    with pytest.raises(errors.APIStatusError) as caught:
        await read(contit_client(upstream))
    assert caught.value.status_code == status
    assert (len(upstream.received), upstream.hosts) == (1, {"contit.test"})


PASSING: dict[str, tuple[Script, type[errors.APIError]]] = {
    "429": (Reply(429), errors.RateLimitError),
    "500": (Reply(500), errors.InternalServerError),
    "504": (Reply(504, "<h1>Gateway timeout</h1>"), errors.InternalServerError),
    "html": (Reply(200, "<!doctype html>"), errors.APIResponseValidationError),
    "empty": (Reply(200, b""), errors.APIResponseValidationError),
    "no content": (Reply(204), errors.APIResponseValidationError),
    "broken JSON": (Reply(200, b'{"status": "comp'), errors.APIResponseValidationError),
    "missing field": (Reply(200, {}), errors.APIResponseValidationError),
    "wrong type": (Reply(200, {"status": 3, "response": 3}), errors.APIResponseValidationError),
    "null": (Reply(200, {"status": None, "response": None}), errors.APIResponseValidationError),
    "list": (Reply(200, [{"status": "completed"}]), errors.APIResponseValidationError),
}


@each_read
@pytest.mark.parametrize("name", PASSING)
async def test_a_read_is_repeated_after_a_passing_fault_up_to_four_requests(read: Read, name: str) -> None:
    fault, kind = PASSING[name]
    stats = start_call_stats()
    assert await read(contit_client(scripted(fault, fault, ANSWER)))
    assert (stats.requests, stats.events["retry"]) == (3, 2)
    upstream = scripted(fault)
    with pytest.raises(errors.APIError) as caught:
        await read(contit_client(upstream))
    assert type(caught.value) is kind
    assert len(upstream.received) == 4
    bounds = [(0.25, 0.375), (0.5, 0.75), (1.0, 1.5)]
    assert all(low <= pause <= high + 1e-6 for pause, (low, high) in zip(upstream.pauses, bounds, strict=True))


@each_read
async def test_a_retry_after_beyond_the_budget_is_told_at_once(read: Read) -> None:
    upstream = scripted(Reply(429, headers={"Retry-After": "21"}))
    began = anyio.current_time()
    with pytest.raises(errors.RateLimitError) as caught:
        await read(contit_client(upstream))
    assert anyio.current_time() == began
    assert "21 seconds" in caught.value.hint
    assert len(upstream.received) == 1


async def test_the_callers_deadline_allows_no_retry_after_it() -> None:
    upstream = scripted(Reply(503))
    client = contit_client(upstream)
    for read in (
        client.run_status("t", "r", deadline=anyio.current_time()),
        client.thread_response("t", deadline=anyio.current_time()),
    ):
        with pytest.raises(errors.InternalServerError):
            await read
    assert len(upstream.received) == 2


@each_read
async def test_a_read_that_hangs_ends_as_a_timeout_and_at_once_if_its_caller_leaves(read: Read) -> None:
    upstream = scripted(HANGS)
    began = anyio.current_time()
    with pytest.raises(errors.APITimeoutError):
        await read(contit_client(upstream))
    assert anyio.current_time() - began == pytest.approx(20)
    with anyio.move_on_after(1.0) as scope:
        await read(contit_client(upstream))
    assert scope.cancelled_caught
    assert anyio.current_time() - began == pytest.approx(21)
    assert (len(upstream.received), upstream.abandoned) == (2, 2)


# --- Replication lag ---------------------------------------------------------------------------------------------


@each_young
async def test_a_404_right_after_is_forgiven_and_other_faults_are_retried_as_always(read: Read) -> None:
    upstream = scripted(Reply(404), Reply(404), Reply(503), ANSWER)
    assert await read(contit_client(upstream))
    assert upstream.pauses[:2] == pytest.approx([0.4, 0.4])
    assert len(upstream.received) == 4


@each_young
async def test_a_404_that_stays_is_reported_after_a_few_seconds(read: Read) -> None:
    upstream = scripted(Reply(404))
    began = anyio.current_time()
    with pytest.raises(errors.NotFoundError):
        await read(contit_client(upstream))
    assert 2.5 <= anyio.current_time() - began <= 3.0
    assert len(upstream.received) == 8


# --- Words and answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "phase", "documented"),
    [
        ("completed", RunPhase.COMPLETED, True),
        ("in_progress", RunPhase.IN_PROGRESS, True),
        ("failed", RunPhase.FAILED, True),
        ("COMPLETED", RunPhase.COMPLETED, False),
        (" completed ", RunPhase.COMPLETED, False),
        ("IN_PROGRESS", RunPhase.IN_PROGRESS, False),
        ("cancelled", RunPhase.FAILED, False),
        ("canceled", RunPhase.FAILED, False),
        ("Expired", RunPhase.FAILED, False),
        ("incomplete", RunPhase.FAILED, False),
        ("queued", RunPhase.IN_PROGRESS, False),
        ("cancelling", RunPhase.IN_PROGRESS, False),
        ("complete", RunPhase.IN_PROGRESS, False),
        ("x" * 200, RunPhase.IN_PROGRESS, False),
    ],
)
async def test_a_status_word_is_read_in_any_case_and_an_unknown_one_is_still_running(
    word: str, phase: RunPhase, documented: bool
) -> None:
    status = await contit_client(scripted(Reply(body={"status": word}))).run_status("t", "r")
    assert (status.word, status.phase, status.documented) == (word, phase, documented)


@pytest.mark.parametrize("word", ["", "x" * 201])
async def test_a_status_word_has_a_sensible_length(word: str) -> None:
    with pytest.raises(errors.APIResponseValidationError):
        await contit_client(scripted(Reply(body={"status": word}))).run_status("t", "r")


@pytest.mark.parametrize("text", ["# Articles\r\n\n| a | b |\n\t<b>é ü 漢字 👩‍👩‍👧</b>", ""])
async def test_an_answer_is_passed_on_unchanged_but_for_hidden_characters(text: str) -> None:
    client = contit_client(scripted(Reply(body={"response": text + "\u200b\U000e0041"})))
    assert await client.thread_response("t") == text

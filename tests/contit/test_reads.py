"""Asking where a run stands, and reading the answer. Virtual time."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import GracePolicy
from contit_mcp.contit.wire import RunPhase, RunStatus
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.contit.upstream import BASE_URL, HANGS, contit_client, scripted
from tests.echo_contit import Reply, Script

pytestmark = pytest.mark.anyio

Read = Callable[[ContitClient], Awaitable[object]]

RUNNING = Reply(body={"status": "in_progress"})
ANSWER = Reply(body={"response": "Twelve articles."})
READS: dict[str, tuple[Read, Reply]] = {
    "status": (lambda client: client.run_status("thread-1", "run-1"), RUNNING),
    "response": (lambda client: client.thread_response("thread-1"), ANSWER),
}


@pytest.fixture(params=READS)
def read(request: pytest.FixtureRequest) -> Read:
    """Each of the two reads."""
    return READS[request.param][0]


@pytest.fixture
def good(request: pytest.FixtureRequest) -> Reply:
    """The good answer for the same read."""
    return READS[request.node.callspec.params["read"]][1]


async def test_the_documented_requests_are_sent() -> None:
    """`GET …/thread/{threadId}/run/{runId}/status` and `GET …/thread/{threadId}/response` (documented)."""
    upstream = scripted(RUNNING, ANSWER)
    client = contit_client(upstream)
    assert (await client.run_status("thread-1", "run-1")).word == "in_progress"
    assert await client.thread_response("thread-1") == "Twelve articles."
    sent = [(request.method, str(request.url), request.content) for request in upstream.received]
    assert sent == [
        ("GET", f"{BASE_URL}/ai-assistant/thread/thread-1/run/run-1/status", b""),
        ("GET", f"{BASE_URL}/ai-assistant/thread/thread-1/response", b""),
    ]


async def test_fields_that_nobody_documented_are_ignored() -> None:
    """A newer Contit may send more."""
    upstream = scripted(
        Reply(body={"status": "completed", "error": None}), Reply(body={"response": "a", "sources": []})
    )
    client = contit_client(upstream)
    assert (await client.run_status("t", "r")).phase is RunPhase.COMPLETED
    assert await client.thread_response("t") == "a"


NOT_REPEATED = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    418: errors.APIStatusError,
    422: errors.UnprocessableEntityError,
    302: errors.RedirectError,
}


@pytest.mark.parametrize("status", NOT_REPEATED)
async def test_a_read_that_was_refused_for_good_is_sent_once(read: Read, status: int) -> None:
    """Repeating could not help."""
    upstream = scripted(Reply(status, headers={"Location": "https://elsewhere.test/"}))
    with pytest.raises(errors.APIStatusError) as caught:
        await read(contit_client(upstream))
    assert type(caught.value) is NOT_REPEATED[status]
    assert caught.value.status_code == status
    assert len(upstream.received) == 1
    assert upstream.hosts == {"contit.test"}


PASSING: dict[str, tuple[Script, type[errors.APIError]]] = {
    "429": (Reply(429), errors.RateLimitError),
    "500": (Reply(500), errors.InternalServerError),
    "502": (Reply(502, "<h1>Bad gateway</h1>"), errors.InternalServerError),
    "503": (Reply(503), errors.InternalServerError),
    "504": (Reply(504), errors.InternalServerError),
    "html": (Reply(200, "<!doctype html>"), errors.APIResponseValidationError),
    "empty": (Reply(200, b""), errors.APIResponseValidationError),
    "no content": (Reply(204), errors.APIResponseValidationError),
    "broken JSON": (Reply(200, b'{"status": "comp'), errors.APIResponseValidationError),
    "missing field": (Reply(200, {}), errors.APIResponseValidationError),
    "wrong type": (Reply(200, {"status": 3, "response": 3}), errors.APIResponseValidationError),
    "null": (Reply(200, {"status": None, "response": None}), errors.APIResponseValidationError),
    "list": (Reply(200, [{"status": "completed"}]), errors.APIResponseValidationError),
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_read_is_repeated_after_a_passing_fault(read: Read, good: Reply, name: str) -> None:
    stats = start_call_stats()
    upstream = scripted(PASSING[name][0], PASSING[name][0], good)
    assert await read(contit_client(upstream))
    assert len(upstream.received) == 3
    assert (stats.requests, stats.events["retry"]) == (3, 2)


@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_that_does_not_pass_is_raised_after_four_requests(read: Read, name: str) -> None:
    fault, kind = PASSING[name]
    upstream = scripted(fault)
    with pytest.raises(errors.APIError) as caught:
        await read(contit_client(upstream))
    assert type(caught.value) is kind
    assert len(upstream.received) == 4
    bounds = [(0.25, 0.375), (0.5, 0.75), (1.0, 1.5)]
    assert all(low <= pause <= high + 1e-6 for pause, (low, high) in zip(upstream.pauses, bounds, strict=True))


async def test_a_retry_after_beyond_the_budget_is_told_at_once(read: Read) -> None:
    upstream = scripted(Reply(429, headers={"Retry-After": "21"}))
    began = anyio.current_time()
    with pytest.raises(errors.RateLimitError) as caught:
        await read(contit_client(upstream, read_seconds=20))
    assert anyio.current_time() == began
    assert "21 seconds" in caught.value.hint
    assert len(upstream.received) == 1


async def test_the_callers_deadline_allows_no_retry_after_it() -> None:
    upstream = scripted(Reply(503))
    client = contit_client(upstream)
    with pytest.raises(errors.InternalServerError):
        await client.run_status("t", "r", deadline=anyio.current_time())
    with pytest.raises(errors.InternalServerError):
        await client.thread_response("t", deadline=anyio.current_time())
    assert len(upstream.received) == 2


async def test_a_read_that_hangs_ends_as_a_timeout(read: Read) -> None:
    upstream = scripted(HANGS)
    began = anyio.current_time()
    with anyio.fail_after(100), pytest.raises(errors.APITimeoutError):
        await read(contit_client(upstream, read_seconds=20))
    assert anyio.current_time() - began == pytest.approx(20)
    assert (len(upstream.received), upstream.abandoned) == (1, 1)


# --- Replication lag ---------------------------------------------------------------------------------------------

YOUNG: dict[str, tuple[Read, Reply]] = {
    "status": (lambda client: client.run_status("t", "r", just_started=True), RUNNING),
    "response": (lambda client: client.thread_response("t", just_completed=True), ANSWER),
}


@pytest.mark.parametrize("name", YOUNG)
async def test_a_404_right_after_is_forgiven(name: str) -> None:
    """Contit may not have written it everywhere yet (assumed)."""
    ask, good = YOUNG[name]
    upstream = scripted(Reply(404), Reply(404), good)
    assert await ask(contit_client(upstream))
    assert upstream.pauses == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize("name", YOUNG)
async def test_a_404_that_stays_is_reported_after_a_few_seconds(name: str) -> None:
    upstream = scripted(Reply(404))
    began = anyio.current_time()
    with pytest.raises(errors.NotFoundError):
        await YOUNG[name][0](contit_client(upstream, grace=GracePolicy(seconds=3.0, pause=1.0)))
    assert anyio.current_time() - began == pytest.approx(3.0)
    assert len(upstream.received) == 4


@pytest.mark.parametrize("name", YOUNG)
async def test_a_fault_during_the_grace_is_retried_as_always(name: str) -> None:
    ask, good = YOUNG[name]
    upstream = scripted(Reply(404), Reply(503), good)
    assert await ask(contit_client(upstream))
    assert len(upstream.received) == 3


# --- Words and answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "phase", "documented"),
    [
        ("completed", RunPhase.COMPLETED, True),
        ("in_progress", RunPhase.IN_PROGRESS, True),
        ("failed", RunPhase.FAILED, True),
        ("COMPLETED", RunPhase.COMPLETED, False),
        ("Failed", RunPhase.FAILED, False),
        (" completed ", RunPhase.COMPLETED, False),
        ("IN_PROGRESS", RunPhase.IN_PROGRESS, False),
        ("cancelled", RunPhase.FAILED, False),
        ("canceled", RunPhase.FAILED, False),
        ("Expired", RunPhase.FAILED, False),
        ("incomplete", RunPhase.FAILED, False),
        ("queued", RunPhase.IN_PROGRESS, False),
        ("requires_action", RunPhase.IN_PROGRESS, False),
        ("cancelling", RunPhase.IN_PROGRESS, False),
        ("complete", RunPhase.IN_PROGRESS, False),
        ("not completed", RunPhase.IN_PROGRESS, False),
        ("done", RunPhase.IN_PROGRESS, False),
    ],
)
async def test_a_status_word_is_read_in_any_case_and_kept_as_it_is(
    word: str, phase: RunPhase, documented: bool
) -> None:
    """Three words are documented; four more mean an end (assumed); every other is still running."""
    status = await contit_client(scripted(Reply(body={"status": word}))).run_status("t", "r")
    assert (status.word, status.phase, status.documented) == (word, phase, documented)


@pytest.mark.parametrize(("word", "good"), [("", False), ("x", True), ("x" * 200, True), ("x" * 201, False)])
async def test_a_status_word_has_a_sensible_length(word: str, good: bool) -> None:
    client = contit_client(scripted(Reply(body={"status": word})))
    if good:
        assert await client.run_status("t", "r") == RunStatus(status=word)
    else:
        with pytest.raises(errors.APIResponseValidationError):
            await client.run_status("t", "r")


async def test_an_answer_is_passed_on_unchanged_but_for_hidden_characters() -> None:
    text = "# Articles\r\n\n| a | b |\n\t<b>é ü 漢字 👩‍👩‍👧</b>"
    client = contit_client(scripted(Reply(body={"response": text + "\u200b\U000e0041"})))
    assert await client.thread_response("t") == text


async def test_an_empty_answer_is_an_answer() -> None:
    """Nobody documented that it cannot be."""
    assert await contit_client(scripted(Reply(body={"response": ""}))).thread_response("t") == ""


async def test_a_read_whose_caller_leaves_stops_at_once(read: Read) -> None:
    upstream = scripted(HANGS)
    began = anyio.current_time()
    with anyio.move_on_after(1.0) as scope:
        await read(contit_client(upstream))
    assert scope.cancelled_caught
    assert anyio.current_time() - began == pytest.approx(1.0)
    assert (len(upstream.received), upstream.abandoned) == (1, 1)

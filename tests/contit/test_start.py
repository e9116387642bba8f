"""Starting a run: what each answer of Contit means, and that no question is asked twice. Virtual time."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import anyio.lowlevel
import pytest

from contit_mcp import errors
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.contit.upstream import BASE_URL, HANGS, START_OK, STARTED, Kept, contit_client, scripted, start
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio


async def test_a_start_sends_the_documented_request() -> None:
    """`POST /ai-assistant/thread` with `threadId`, null for a new conversation, and `prompt` (documented)."""
    upstream = scripted(START_OK)
    run = await start(contit_client(upstream))
    (request,) = upstream.received
    assert (request.method, str(request.url)) == ("POST", f"{BASE_URL}/ai-assistant/thread")
    assert json.loads(request.content) == {"threadId": None, "prompt": "What is new?"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("contit-mcp/")
    assert (run.thread_id, run.run_id) == ("thread-1", "run-1")


async def test_a_start_on_a_thread_names_it_unchanged_in_the_body() -> None:
    """`threadId` continues a conversation (documented); in JSON it needs no encoding."""
    upstream = scripted(START_OK)
    await start(contit_client(upstream), thread_id="thread/ü 1")
    assert json.loads(upstream.received[0].content)["threadId"] == "thread/ü 1"


async def test_a_base_url_with_a_path_keeps_it() -> None:
    """A gateway may serve Contit under a prefix."""
    upstream = scripted(START_OK)
    await start(contit_client(upstream, base_url="https://gateway.test/contit"))
    assert str(upstream.received[0].url) == "https://gateway.test/contit/ai-assistant/thread"


async def test_fields_that_nobody_documented_are_ignored() -> None:
    """A newer Contit may send more."""
    body = {**STARTED, "createdAt": "2026-03-15", "usage": {"tokens": 3}, "ThreadId": "another"}
    run = await start(contit_client(scripted(Reply(201, body))))
    assert (run.thread_id, run.run_id) == ("thread-1", "run-1")


ERROR_TYPES = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    418: errors.APIStatusError,
    422: errors.UnprocessableEntityError,
    302: errors.RedirectError,
    308: errors.RedirectError,
    500: errors.InternalServerError,
    502: errors.InternalServerError,
    504: errors.InternalServerError,
}


@pytest.mark.parametrize("status", ERROR_TYPES)
async def test_a_refused_start_is_sent_once(status: int) -> None:
    """No answer but 429 and 503 is repeated: Contit may have accepted the question."""
    upstream, kept = scripted(Reply(status, "<h1>what the upstream says</h1>")), Kept()
    with pytest.raises(errors.APIStatusError) as caught:
        await start(contit_client(upstream), keep=kept)
    assert type(caught.value) is ERROR_TYPES[status]
    assert caught.value.status_code == status
    assert "upstream says" not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.__cause__ is None
    assert len(upstream.received) == 1
    assert kept.runs == []


@pytest.mark.parametrize("status", [429, 503])
async def test_a_start_that_was_turned_away_is_repeated_until_it_is_taken(status: int) -> None:
    stats = start_call_stats()
    upstream, kept = scripted(Reply(status), Reply(status), START_OK), Kept()
    await start(contit_client(upstream), keep=kept)
    assert len(upstream.received) == 3
    assert len(kept.runs) == 1
    assert (stats.requests, stats.events["retry"]) == (3, 2)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_start_that_is_always_turned_away_ends_after_four_requests(status: int) -> None:
    upstream = scripted(Reply(status))
    with pytest.raises(errors.APIStatusError):
        await start(contit_client(upstream), within=10_000)
    assert len(upstream.received) == 4
    bounds = [(0.25, 0.375), (0.5, 0.75), (1.0, 1.5)]
    assert all(low <= pause <= high + 1e-6 for pause, (low, high) in zip(upstream.pauses, bounds, strict=True))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
async def test_a_start_waits_as_long_as_contit_asks(status: int, as_date: bool) -> None:
    """`Retry-After` in seconds and as an HTTP date (RFC 9110)."""
    asked = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True) if as_date else "600"
    upstream = scripted(Reply(status, headers={"Retry-After": asked}), START_OK)
    with anyio.fail_after(5_000):
        await start(contit_client(upstream), within=2_000)
    assert len(upstream.received) == 2
    assert 500 < upstream.pauses[0] <= 900 + 1e-6  # a date is counted from the wall clock; jitter adds up to half


async def test_no_start_is_sent_after_the_deadline() -> None:
    upstream = scripted(Reply(503))
    retry = RetryPolicy(attempts=100, shortest=1.0, longest=1.0, jitter=0.0)
    began = anyio.current_time()
    with pytest.raises(errors.InternalServerError):
        await start(contit_client(upstream, retry=retry), within=10)
    assert len(upstream.received) == 10
    assert max(upstream.times) < began + 10


async def test_a_start_may_not_be_repeated_after_an_error_in_between() -> None:
    upstream = scripted(Reply(503), Reply(500), START_OK)
    with pytest.raises(errors.InternalServerError) as caught:
        await start(contit_client(upstream))
    assert caught.value.status_code == 500
    assert len(upstream.received) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_host_is_not_followed(status: int) -> None:
    """The credential and the question would go there."""
    upstream = scripted(Reply(status, headers={"Location": "https://elsewhere.test/ai-assistant/thread"}), START_OK)
    with pytest.raises(errors.RedirectError) as caught:
        await start(contit_client(upstream))
    assert upstream.hosts == {"contit.test"}
    assert len(upstream.received) == 1
    assert "elsewhere" not in f"{caught.value.message}{caught.value.hint}"
    assert "CONTIT_BASE_URL" in caught.value.hint


NOT_AS_DOCUMENTED = {
    "html": b"<!doctype html><title>Sign in to the proxy</title>",
    "empty": b"",
    "broken": b'{"threadId": "thread-1", "runId": "ru',
    "not an object": b'["thread-1", "run-1"]',
    "null": b"null",
    "no run": b'{"threadId": "thread-1"}',
    "no thread": b'{"runId": "run-1"}',
    "number": b'{"threadId": 17, "runId": "run-1"}',
    "null id": b'{"threadId": "thread-1", "runId": null}',
    "nested": b'{"threadId": {"id": "thread-1"}, "runId": "run-1"}',
    "empty id": b'{"threadId": "thread-1", "runId": ""}',
    "blank id": b'{"threadId": "  ", "runId": "run-1"}',
    "dots": b'{"threadId": "..", "runId": "run-1"}',
    "dot": b'{"threadId": "thread-1", "runId": "."}',
    "newline": b'{"threadId": "thread-1", "runId": "run\\n1"}',
    "nul": b'{"threadId": "thread\\u0000", "runId": "run-1"}',
    "surrogate": b'{"threadId": "thread\\ud800", "runId": "run-1"}',
    "hidden character": b'{"threadId": "thread\\u200b", "runId": "run-1"}',
    "too long": json.dumps({"threadId": "x" * 257, "runId": "run-1"}).encode(),
    "not utf-8": b'{"threadId": "\xff\xfe", "runId": "run-1"}',
    "snake case": b'{"thread_id": "thread-1", "run_id": "run-1"}',
    "very deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", NOT_AS_DOCUMENTED.values(), ids=NOT_AS_DOCUMENTED)
async def test_an_answer_that_is_not_as_documented_is_an_error_and_not_repeated(body: bytes) -> None:
    """The question may have been accepted all the same."""
    upstream, kept = scripted(Reply(200, body)), Kept()
    with pytest.raises(errors.APIResponseValidationError) as caught:
        await start(contit_client(upstream), keep=kept)
    assert len(upstream.received) == 1
    assert kept.runs == []
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    told = f"{caught.value.message}{caught.value.hint}"
    assert not any(text in told for text in ("thread-1", "Sign in", "run-1"))


async def test_an_id_of_256_characters_is_taken() -> None:
    """The bound is ours; the documented examples have 24 characters."""
    upstream = scripted(Reply(200, {"threadId": "x" * 256, "runId": "y" * 256}))
    run = await start(contit_client(upstream))
    assert (len(run.thread_id), len(run.run_id)) == (256, 256)


@pytest.mark.parametrize("thread_id", ["", " ", ".", "..", "a\nb", "a\x00", "x" * 257, "\ud800"])
async def test_a_thread_id_that_cannot_be_one_sends_nothing(thread_id: str) -> None:
    upstream = scripted(START_OK)
    with pytest.raises(errors.InvalidArgumentError) as caught:
        await start(contit_client(upstream), thread_id=thread_id)
    assert caught.value.message.startswith("thread_id ")
    assert upstream.received == []


async def test_a_start_that_hangs_ends_after_start_seconds_and_is_not_repeated() -> None:
    """It was sent, so it may run: `may_have_arrived` says so."""
    upstream, kept = scripted(HANGS), Kept()
    began = anyio.current_time()
    with anyio.fail_after(100), pytest.raises(errors.APITimeoutError) as caught:
        await start(contit_client(upstream, start_seconds=20.0), keep=kept, within=1_000)
    assert anyio.current_time() - began == pytest.approx(20.0)
    assert caught.value.may_have_arrived
    assert (len(upstream.received), upstream.abandoned) == (1, 1)
    assert kept.runs == []


async def test_each_repeated_start_has_start_seconds_of_its_own() -> None:
    upstream = scripted(Reply(503, after=15.0), Reply(200, STARTED, after=15.0))
    assert (await start(contit_client(upstream, start_seconds=20.0))).run_id == "run-1"


async def test_a_slow_keep_does_not_count_as_a_slow_start() -> None:
    kept = Kept(after=50.0)
    run = await start(contit_client(scripted(START_OK), start_seconds=20.0), keep=kept)
    assert kept.runs == [run]


async def test_a_fault_of_keep_is_not_taken_for_contits() -> None:
    """Nor is the start repeated because of it: the run exists."""
    upstream = scripted(START_OK)

    async def broken(_: object) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await start(contit_client(upstream), keep=broken)
    assert len(upstream.received) == 1


async def test_cookies_of_contit_are_not_sent_back() -> None:
    """A cookie could carry one caller's session into another's request."""
    upstream = scripted(Reply(200, STARTED, headers={"Set-Cookie": "session=abc; Path=/"}))
    client = contit_client(upstream)
    await start(client)
    await start(client)
    assert all("Cookie" not in request.headers for request in upstream.received)


@pytest.mark.parametrize("seconds", [1.0, 4.0])
async def test_a_start_whose_caller_leaves_keeps_its_ids_before_it_ends(seconds: float) -> None:
    """The caller leaves while the start is sent, or while its ids are stored. The run exists upstream."""
    upstream, kept = scripted(Reply(200, STARTED, after=2.0)), Kept(after=3.0)
    with anyio.fail_after(100), anyio.move_on_after(seconds) as scope:
        await start(contit_client(upstream), keep=kept)
        await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert [run.run_id for run in kept.runs] == ["run-1"]


async def test_a_start_whose_caller_leaves_during_a_pause_is_not_sent_again() -> None:
    upstream = scripted(Reply(503, headers={"Retry-After": "30"}), START_OK)
    with anyio.move_on_after(1.0) as scope:
        await start(contit_client(upstream))
    assert scope.cancelled_caught
    assert len(upstream.received) == 1

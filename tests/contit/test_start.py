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
from tests.contit.upstream import HANGS, START_OK, STARTED, Kept, contit_client, scripted, start
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("thread_id", [None, "thread/ü 1"])
@pytest.mark.parametrize("base_url", ["https://contit.test", "https://gateway.test/contit"])
async def test_a_start_sends_the_documented_request(base_url: str, thread_id: str | None) -> None:
    """Further fields of the answer are ignored."""
    body = {**STARTED, "createdAt": "2026-03-15", "usage": {"tokens": 3}, "ThreadId": "another"}
    upstream = scripted(Reply(201, body))
    run = await start(contit_client(upstream, base_url=base_url), thread_id=thread_id)
    (request,) = upstream.received
    assert (request.method, str(request.url)) == ("POST", f"{base_url}/ai-assistant/thread")
    assert json.loads(request.content) == {"threadId": thread_id, "prompt": "What is new?"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("contit-mcp/")
    assert (run.thread_id, run.run_id) == ("thread-1", "run-1")


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 409, 418, 422, 500, 502, 504])
async def test_a_refused_or_redirected_start_is_sent_once_and_to_contit_alone(status: int) -> None:
    """No answer but 429 and 503 is repeated: Contit may have accepted the question."""
    elsewhere = {"Location": "https://elsewhere.test/ai-assistant/thread"}
    upstream, kept = scripted(Reply(status, "<h1>what the upstream says</h1>", elsewhere), START_OK), Kept()
    with pytest.raises(errors.APIStatusError) as caught:
        await start(contit_client(upstream), keep=kept)
    assert caught.value.status_code == status
    assert caught.value.__cause__ is None
    assert (len(upstream.received), upstream.hosts, kept.runs) == (1, {"contit.test"}, [])
    told = f"{caught.value.message}{caught.value.hint}"
    assert "upstream says" not in told
    assert "elsewhere" not in told


@pytest.mark.parametrize("status", [429, 503])
async def test_a_start_that_was_turned_away_is_repeated_up_to_four_requests(status: int) -> None:
    stats = start_call_stats()
    upstream, kept = scripted(Reply(status), Reply(status), START_OK), Kept()
    await start(contit_client(upstream), keep=kept)
    assert (len(upstream.received), len(kept.runs)) == (3, 1)
    assert (stats.requests, stats.events["retry"]) == (3, 2)
    upstream = scripted(Reply(status))
    with pytest.raises(errors.APIStatusError):
        await start(contit_client(upstream), within=10_000)
    bounds = [(0.25, 0.375), (0.5, 0.75), (1.0, 1.5)]
    assert all(low <= pause <= high + 1e-6 for pause, (low, high) in zip(upstream.pauses, bounds, strict=True))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
async def test_a_start_waits_as_long_as_contit_asks(status: int, as_date: bool) -> None:
    asked = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True) if as_date else "600"
    upstream = scripted(Reply(status, headers={"Retry-After": asked}), START_OK)
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


NOT_AS_DOCUMENTED = {
    "html": b"<!doctype html><title>Sign in to the proxy</title>",
    "empty": b"",
    "broken": b'{"threadId": "thread-1", "runId": "ru',
    "not an object": b'["thread-1", "run-1"]',
    "no run": b'{"threadId": "thread-1"}',
    "number": b'{"threadId": 17, "runId": "run-1"}',
    "null id": b'{"threadId": "thread-1", "runId": null}',
    "empty id": b'{"threadId": "thread-1", "runId": ""}',
    "dots": b'{"threadId": "..", "runId": "run-1"}',
    "newline": b'{"threadId": "thread-1", "runId": "run\\n1"}',
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
    assert (len(upstream.received), kept.runs) == (1, [])
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    told = f"{caught.value.message}{caught.value.hint}"
    assert not any(text in told for text in ("thread-1", "Sign in", "run-1"))


async def test_an_id_of_256_characters_is_taken() -> None:
    run = await start(contit_client(scripted(Reply(200, {"threadId": "x" * 256, "runId": "y" * 256}))))
    assert (len(run.thread_id), len(run.run_id)) == (256, 256)


async def test_a_start_that_hangs_ends_after_twenty_seconds_is_not_repeated_and_may_have_arrived() -> None:
    upstream, kept = scripted(HANGS), Kept()
    began = anyio.current_time()
    with pytest.raises(errors.APITimeoutError) as caught:
        await start(contit_client(upstream), keep=kept, within=1_000)
    assert anyio.current_time() - began == pytest.approx(20.0)
    assert caught.value.may_have_arrived
    assert (len(upstream.received), upstream.abandoned, kept.runs) == (1, 1, [])


async def test_each_repeated_start_has_its_own_time_and_a_slow_keep_does_not_count() -> None:
    kept = Kept(after=50.0)
    run = await start(contit_client(scripted(Reply(503, after=15.0), Reply(200, STARTED, after=15.0))), keep=kept)
    assert kept.runs == [run]


async def test_a_fault_of_keep_is_not_taken_for_contits_and_repeats_no_start() -> None:
    upstream = scripted(START_OK)

    async def broken(_: object) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await start(contit_client(upstream), keep=broken)
    assert len(upstream.received) == 1


async def test_cookies_of_contit_are_not_sent_back() -> None:
    upstream = scripted(Reply(200, STARTED, headers={"Set-Cookie": "session=abc; Path=/"}))
    client = contit_client(upstream)
    await start(client)
    await start(client)
    assert all("Cookie" not in request.headers for request in upstream.received)


@pytest.mark.parametrize("seconds", [1.0, 4.0])
async def test_a_start_whose_caller_leaves_keeps_its_ids_before_it_ends(seconds: float) -> None:
    """The caller leaves while the start is sent, or while its ids are stored."""
    upstream, kept = scripted(Reply(200, STARTED, after=2.0)), Kept(after=3.0)
    with anyio.move_on_after(seconds) as scope:
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

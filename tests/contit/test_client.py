"""Starting a run, asking where it stands, and reading its answer: no question is asked twice. Virtual time."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote_to_bytes

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contit_mcp import errors
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.wire import RESPONSE, STATUS, id_problem, path_of
from tests.contit.upstream import HANGS, READS, START_OK, STARTED, Call, Kept, contit_client, scripted, start
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio

TEXT = "# Articles\r\n\n| a | b |\n\t<b>é ü 漢字 👩‍👩‍👧</b>"
HIDDEN = "\u200b\U000e0041"
ANSWER = {"status": "completed", "response": TEXT + HIDDEN}
LAGGING: dict[str, Call] = {  # reads for which a 404 may be replication lag
    "status": lambda client: client.run_status("t", "r", just_started=True),
    "response": lambda client: client.thread_response("t", just_completed=True),
}
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


@pytest.mark.parametrize("thread_id", [None, "thread/ü 1"])
@pytest.mark.parametrize("base_url", ["https://contit.test", "https://gateway.test/contit"])
async def test_the_documented_requests_are_sent(base_url: str, thread_id: str | None) -> None:
    """Unknown fields of the answers are ignored, hidden characters are removed, and no cookie is sent back."""
    body = {**STARTED, **ANSWER, "createdAt": "2026-03-15", "error": None, "usage": {"tokens": 3}, "ThreadId": "x"}
    upstream = scripted(Reply(201, body, headers={"Set-Cookie": "session=abc; Path=/"}))
    client = contit_client(upstream, base_url=base_url)
    run = await start(client, thread_id=thread_id)
    assert (run.thread_id, run.run_id) == ("thread-1", "run-1")
    assert (await client.run_status("thread-1", "run-1")).word == "completed"
    assert await client.thread_response("thread-1") == TEXT
    assert [(request.method, str(request.url)) for request in upstream.received] == [
        ("POST", f"{base_url}/ai-assistant/thread"),
        ("GET", f"{base_url}/ai-assistant/thread/thread-1/run/run-1/status"),
        ("GET", f"{base_url}/ai-assistant/thread/thread-1/response"),
    ]
    started, *reads = upstream.received
    assert json.loads(started.content) == {"threadId": thread_id, "prompt": "What is new?"}
    assert started.headers["Content-Type"] == "application/json"
    assert [request.content for request in reads] == [b"", b""]
    for request in upstream.received:
        assert "Cookie" not in request.headers
        assert request.headers["Accept"] == "application/json"
        assert request.headers["User-Agent"].startswith("contit-mcp/")


async def test_a_start_waits_as_long_as_contit_asks() -> None:
    asked = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    upstream = scripted(Reply(503, headers={"Retry-After": asked}), START_OK)
    await start(contit_client(upstream), within=2_000)
    assert 500 < upstream.pauses[0] <= 900 + 1e-6  # a date is counted from the wall clock; jitter adds up to half


async def test_no_start_is_sent_after_the_deadline() -> None:
    upstream = scripted(Reply(503))
    retry = RetryPolicy(attempts=100, shortest=1.0, longest=1.0, jitter=0.0)
    began = anyio.current_time()
    with pytest.raises(errors.InternalServerError):
        await start(contit_client(upstream, retry=retry), within=10)
    assert len(upstream.received) == 10
    assert max(upstream.times) < began + 10


async def test_a_start_that_hangs_ends_after_twenty_seconds_is_not_repeated_and_may_have_arrived() -> None:
    upstream, kept = scripted(HANGS), Kept()
    began = anyio.current_time()
    with pytest.raises(errors.APITimeoutError) as caught:
        await start(contit_client(upstream), keep=kept, within=1_000)
    assert anyio.current_time() - began == pytest.approx(20.0)
    assert caught.value.may_have_arrived
    assert (len(upstream.received), upstream.abandoned, kept.runs) == (1, 1, [])


async def test_an_error_while_the_ids_are_stored_is_no_error_of_contit_and_repeats_no_start() -> None:
    upstream = scripted(START_OK)

    async def broken(_: object) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await start(contit_client(upstream), keep=broken)
    assert len(upstream.received) == 1


@pytest.mark.parametrize(
    ("first", "seconds", "ids"),
    [
        (Reply(200, STARTED, after=2.0), 1.0, ["run-1"]),  # while the start is sent
        (Reply(200, STARTED, after=2.0), 4.0, ["run-1"]),  # while its ids are stored
        (Reply(503, headers={"Retry-After": "30"}), 1.0, []),  # between two attempts
    ],
)
async def test_a_start_whose_caller_leaves_keeps_its_ids_and_is_not_sent_again(
    first: Reply, seconds: float, ids: list[str]
) -> None:
    upstream, kept = scripted(first, START_OK), Kept(after=3.0)
    with anyio.move_on_after(seconds) as scope:
        await start(contit_client(upstream), keep=kept)
        await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert ([run.run_id for run in kept.runs], len(upstream.received)) == (ids, 1)


@pytest.mark.parametrize("call", [start, *READS.values()])
async def test_pauses_between_retries_grow(call: Call) -> None:
    upstream = scripted(Reply(503), Reply(429), Reply(503), Reply(body={**STARTED, **ANSWER}))
    assert await call(contit_client(upstream))
    bounds = [(0.25, 0.375), (0.5, 0.75), (1.0, 1.5)]
    assert all(low <= pause <= high + 1e-6 for pause, (low, high) in zip(upstream.pauses, bounds, strict=True))


@each_read
async def test_a_retry_that_would_come_too_late_is_not_waited_for(read: Call) -> None:
    """A read lasts at most 20 s, and ends at the deadline of its caller if that is sooner."""
    upstream = scripted(Reply(429, headers={"Retry-After": "21"}), Reply(503))
    client, began = contit_client(upstream), anyio.current_time()
    with pytest.raises(errors.RateLimitError, match="too many") as caught:
        await read(client)
    assert "21 seconds" in caught.value.hint
    with pytest.raises(errors.InternalServerError):
        await client.run_status("t", "r", deadline=anyio.current_time())
    assert (anyio.current_time(), len(upstream.received)) == (began, 2)


@each_read
async def test_a_read_that_hangs_ends_as_a_timeout_and_at_once_if_its_caller_leaves(read: Call) -> None:
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


@pytest.mark.parametrize("read", LAGGING.values(), ids=LAGGING)
@pytest.mark.parametrize(
    ("script", "seconds", "requests"),
    [
        ([Reply(404), Reply(404), Reply(503), Reply(body=ANSWER)], None, 4),  # None: it succeeds
        ([Reply(404)], 2.8, 8),
        ([Reply(404, after=1.0)], 3.8, 3),
        ([Reply(404, headers={"Retry-After": "3600"})], 2.8, 8),
    ],
)
async def test_a_404_right_after_a_start_or_an_end_is_retried_for_three_seconds(
    read: Call, script: list[Reply], seconds: float | None, requests: int
) -> None:
    upstream, began = scripted(*script), anyio.current_time()
    with nullcontext() if seconds is None else pytest.raises(errors.NotFoundError):
        assert await read(contit_client(upstream))
    assert seconds is None or anyio.current_time() - began == pytest.approx(seconds)
    assert upstream.pauses[0] == pytest.approx(0.4 + script[0].after)
    assert len(upstream.received) == requests


@given(st.text(st.characters(exclude_categories=()), max_size=300))
@example("..")
@example("%2e%2e/")
@example("..\\..")
@example("//evil.test/x?b=c#d{threadId}")
@example("字" * 256)
def test_any_id_is_refused_or_is_one_segment_of_the_path_that_decodes_to_the_id(identifier: str) -> None:
    for route, *ids in ((STATUS, identifier, "run"), (STATUS, "thread", identifier), (RESPONSE, identifier)):
        if id_problem(identifier) is not None:
            with pytest.raises(errors.InvalidArgumentError):
                path_of(route, *ids)
            continue
        segments = httpx.URL(f"https://contit.test{path_of(route, *ids)}").raw_path.split(b"/")
        segment = segments[route.split("/").index("{runId}" if ids[0] == "thread" else "{threadId}")]
        assert len(segments) == len(route.split("/"))
        assert unquote_to_bytes(segment).decode() == identifier
        assert segment not in {b".", b".."}
        assert not set(segment) & set(b"?#\\ ")

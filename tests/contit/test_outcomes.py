"""What each outcome of a request means: to a read, to a start, to the counters, and to the pace of all polls."""

import io
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import anyio
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.wire import ThreadResponse, parse, parse_retry_after
from contit_mcp.telemetry.call_stats import Event, Listener, start_call_stats
from tests.contit.upstream import (
    HANGS,
    ONCE,
    READS,
    RUNNING,
    START_OK,
    STARTED,
    Call,
    Kept,
    contit_client,
    scripted,
    start,
    token_auth,
)
from tests.echo_contit import EchoContit, Reply, Script

pytestmark = pytest.mark.anyio

MARKER = "sk-secret at https://hidden.example/?api_key=sk-secret"  # must not reach a caller or the log
NOW = datetime(2026, 3, 15, 12, 0, 0, tzinfo=UTC)
HTTPX_EXCEPTIONS: list[type[Exception]] = [
    kind for name in httpx.__all__ if isinstance(kind := getattr(httpx, name), type) and issubclass(kind, Exception)
]
BEFORE_SENDING = {  # raised before there is a connection: only after these is it certain that Contit got nothing
    httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a request meets, the error that its caller gets, the status it is counted under, and what follows."""

    script: Script
    kind: type[errors.APIError]
    counted_as: str
    repeats_reads: bool = False
    repeats_starts: bool = False  # Contit cannot have accepted it
    slows_down: bool = False


def raised(kind: type[Exception]) -> Outcome:
    """Return the outcome of an exception of httpx."""
    is_connection, is_pool = issubclass(kind, httpx.TransportError | httpx.InvalidURL), kind is httpx.PoolTimeout
    ours: type[errors.APIError] = errors.APIResponseValidationError
    if is_connection:
        ours = errors.APITimeoutError if issubclass(kind, httpx.TimeoutException) else errors.APIConnectionError
    return Outcome(
        kind.__new__(kind, MARKER),  # without __init__, whose arguments differ
        ours,
        "pool" if is_pool else "none",
        repeats_reads=True,
        repeats_starts=kind in BEFORE_SENDING,
        slows_down=is_connection and not is_pool,
    )


def refused(status: int, kind: type[errors.APIError], **follows: bool) -> Outcome:
    """Return the outcome of an HTTP status, with the marker in its body and headers."""
    headers = {"Location": "https://hidden.example/", "Content-Type": f"text/plain; name={MARKER}"}
    return Outcome(Reply(status, f"<h1>{MARKER}</h1>", headers), kind, str(status), **follows)


BROKEN = {
    "HTML": f"<!doctype html>{MARKER}",
    "broken": '{"threadId": "thread-1", "runId": "ru',
    "missing": {f"{MARKER} 1": 1, "detail": MARKER},
    "wrong types": {"status": 3, "response": 3, "threadId": 17, "runId": "run-1"},
    "null": {"status": None, "response": None, "threadId": "thread-1", "runId": None},
    "no ids, no word": {"status": "", "response": None, "threadId": "thread-1", "runId": ""},
    "hidden, long": {"status": "x" * 201, "response": [], "threadId": "thread\u200b", "runId": "run-1"},
    "broken ids": {"threadId": "x" * 257, "runId": "run\n1"},
    "not utf-8": b'{"threadId": "\xff\xfe", "runId": "run-1"}',
    "very deep": b"[" * 100_000,
}
OUTCOMES = {
    "401": refused(401, errors.AuthenticationError),
    "403": refused(403, errors.PermissionDeniedError),
    "404": refused(404, errors.NotFoundError),
    "429": refused(429, errors.RateLimitError, repeats_reads=True, repeats_starts=True, slows_down=True),
    "503": refused(503, errors.InternalServerError, repeats_reads=True, repeats_starts=True, slows_down=True),
    **{str(status): refused(status, errors.RedirectError) for status in (300, 301, 302, 304, 307, 308)},
    **{str(status): refused(status, errors.APIStatusError) for status in (400, 402, 409, 413, 418, 422)},
    **{str(n): refused(n, errors.InternalServerError, repeats_reads=True, slows_down=True) for n in (500, 502, 504)},
    **{key: Outcome(Reply(200, body), errors.APIResponseValidationError, "200", True) for key, body in BROKEN.items()},
    **{kind.__name__: raised(kind) for kind in HTTPX_EXCEPTIONS},
}
each_outcome = pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)


@each_outcome
async def test_a_failure_that_may_pass_is_retried_but_no_start_that_contit_may_have_accepted(
    outcome: Outcome, logged: io.StringIO
) -> None:
    kept = Kept()
    calls: list[tuple[Call, bool]] = [
        *((read, outcome.repeats_reads) for read in READS.values()),
        (partial(start, keep=kept), outcome.repeats_starts),
    ]
    for call, repeats in calls:
        upstream, stats = scripted(outcome.script), start_call_stats()
        with pytest.raises(errors.APIError) as caught:
            await call(contit_client(upstream))
        requests = 4 if repeats else 1
        sent = 0 if outcome.counted_as == "pool" else requests
        assert type(caught.value) is outcome.kind
        assert (len(upstream.received), dict(stats.statuses)) == (requests, {outcome.counted_as: requests})
        assert (stats.requests, stats.events["retry"]) == (sent, requests - 1)
        assert upstream.hosts == {"contit.test"}
        told = f"{caught.value!r} {caught.value.message} {caught.value.hint} {caught.value.args} {logged.getvalue()}"
        assert not any(text in told for text in ("sk-secret", "hidden.example", "thread-1", "run-1"))
    assert kept.runs == []
    if isinstance(caught.value, errors.APIConnectionError):
        assert caught.value.may_have_arrived is not outcome.repeats_starts
    if outcome.counted_as not in {"none", "pool"}:
        assert caught.value.__context__ is None  # it could quote the body
        lines = map(json.loads, logged.getvalue().splitlines())
        refusal = next(line for line in lines if line["event"] == "upstream.refused_body")
        assert (refusal["level"], str(refusal["status"])) == ("debug", outcome.counted_as)


async def poll(client: ContitClient, seconds: float) -> list[float]:
    """Poll every second as the assistant does, and return when each poll was sent."""
    until, polls = anyio.current_time() + seconds, list[float]()
    while anyio.current_time() < until:
        polls.append(anyio.current_time())
        with suppress(errors.APIError):
            await client.run_status("t", "r", deadline=anyio.current_time())
        await client.backoff.pause(1.0)
    return polls


@each_outcome
async def test_polls_slow_down_to_a_quarter_while_contit_fails_and_then_recover(outcome: Outcome) -> None:
    """An outcome that is no fault of Contit slows nothing down, nor does a fault between good answers."""
    upstream = scripted(outcome.script)
    client = contit_client(upstream)
    polls = await poll(client, 60)
    assert client.backoff.stretch == (4.0 if outcome.slows_down else 1.0)
    assert polls[-1] - polls[-2] == pytest.approx(client.backoff.stretch)
    upstream.script[:] = [RUNNING]
    polls = await poll(client, 60)
    assert polls[-1] - polls[-2] == pytest.approx(1.0)
    if outcome.kind is not errors.RateLimitError:  # a single 429 slows polls down
        client = contit_client(scripted(*[RUNNING, outcome.script] * 30))
        await poll(client, 40)
        assert client.backoff.stretch == 1.0


async def failed_starts(client: ContitClient, upstream: EchoContit, *, thread_id: str | None, number: int) -> int:
    """Start `number` times, two seconds apart, and return how many requests were sent."""
    before = len(upstream.received)
    for _ in range(number):
        with pytest.raises(errors.APIError):
            await start(client, within=30, thread_id=thread_id)
        await anyio.sleep(2)
    return len(upstream.received) - before


@pytest.mark.parametrize(
    ("fault", "thread_id", "requests", "stretch"),
    [
        (Reply(429), None, 4, 4.0),
        (Reply(503), None, 4, 4.0),
        (httpx.ConnectError("x"), None, 4, 4.0),
        (Reply(500), None, 1, 4.0),
        (Reply(500), "t", 1, 1.0),  # it can mean a busy thread
    ],
)
async def test_in_an_outage_no_start_is_retried_and_a_minute_later_all_pauses_are_normal(
    fault: Script, thread_id: str | None, requests: int, stretch: float
) -> None:
    upstream = scripted(fault)
    client = contit_client(upstream)
    assert await failed_starts(client, upstream, thread_id=thread_id, number=1) == requests
    await failed_starts(client, upstream, thread_id=thread_id, number=10)
    assert await failed_starts(client, upstream, thread_id=thread_id, number=20) == 20
    assert client.backoff.stretch == stretch
    await anyio.sleep(60)
    assert client.backoff.stretch == 1.0


async def test_polls_and_starts_share_one_backoff() -> None:
    upstream = scripted(Reply(503))
    client = contit_client(upstream, retry=ONCE)
    await failed_starts(client, upstream, thread_id="t", number=20)
    polls = await poll(client, 9)
    assert polls[1] - polls[0] == pytest.approx(4.0)
    began = anyio.current_time()
    upstream.script[:] = [START_OK]
    await start(client)
    assert 0 < anyio.current_time() - began <= 0.75


@pytest.mark.parametrize(("status", "seconds"), [(429, 46), (503, 86_400)])
async def test_a_start_waits_for_a_retry_after_or_is_refused_without_a_request(seconds: int, status: int) -> None:
    """A poll got the Retry-After before. The refusal's hint says when to try again, within an hour at most."""
    upstream = scripted(Reply(status, headers={"Retry-After": str(seconds)}), START_OK)
    client, wait = contit_client(upstream, retry=ONCE), min(seconds, 3_600)
    with pytest.raises(errors.APIError) as poll_refused:
        await client.run_status("t", "r")
    began = anyio.current_time()
    with pytest.raises(errors.RateLimitError) as start_refused:
        await start(client, within=45)
    assert (anyio.current_time(), len(upstream.received)) == (began, 1)
    assert poll_refused.value.hint == start_refused.value.hint == f"Try again in {wait} seconds."
    await start(client, within=4_000)
    assert wait <= upstream.pauses[0] < wait + 1


async def test_polls_wait_for_a_retry_after_together_and_go_on_spread_out() -> None:
    upstream = scripted(*[Reply(429, headers={"Retry-After": "30"})] * 10, RUNNING)
    client = contit_client(upstream)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(poll, client, 32)
    at = [round(time - upstream.times[0], 3) for time in upstream.times]
    assert at[:10] == [0.0] * 10
    assert min(at[10:]) >= 30
    assert len(set(at[10:20])) >= 9


async def test_a_failing_token_endpoint_is_no_fault_of_contit() -> None:
    auth = token_auth(scripted(Reply(503, headers={"Retry-After": "600"})))
    client = contit_client(scripted(RUNNING), auth=auth, retry=ONCE)
    await poll(client, 100)
    assert client.backoff.stretch == 1.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), (" 120 ", 120.0), ("3601", 3_600.0), pytest.param("9" * 5_000, 3_600.0, id="5,000 digits"),
     ("Sun, 15 Mar 2026 12:00:30 GMT", 30.0), ("Sun, 15 Mar 2026 13:00:30 +0100", 30.0),
     ("Sun, 15 Mar 2026 11:00:00 GMT", 0.0), ("Mon, 15 Mar 2027 12:00:00 GMT", 3_600.0),
     ("", None), ("soon", None), ("1.5", None), ("0\x1f", None), ("\u0665", None), ("Sun, 99 Mar 2026 12:00:30 GMT", None),
     ("Sun, 15 Mar 2026 12:00:30 +999999999999999999", None)],
)  # fmt: skip
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str, seconds: float | None) -> None:
    """At most an hour; anything else counts as absent."""
    assert parse_retry_after(value, now=NOW) == seconds


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,4} [A-Za-z]{3} \d{1,9} \d+:\d+:\d+ [-+A-Z0-9]{0,20}"))
@example("Sun, 15 Mar 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_no_retry_after_can_break_the_parser(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or 0.0 <= seconds <= 3_600


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr))
def test_no_body_can_break_the_parser(body: bytes | str) -> None:
    response = httpx.Response(200, content=body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))
    with pytest.raises(errors.APIResponseValidationError):
        parse(response, ThreadResponse)


class Counted(Listener):
    def __init__(self) -> None:
        self.requests: list[tuple[str, str, float]] = []
        self.events: list[Event] = []

    def on_request(self, endpoint: str, status: str, seconds: float) -> None:
        self.requests.append((endpoint, status, round(seconds, 3)))

    def on_event(self, event: Event) -> None:
        self.events.append(event)


async def poll_and_leave(client: ContitClient) -> None:
    with anyio.move_on_after(7):
        await client.run_status("t", "r")


async def start_three_times(client: ContitClient) -> None:
    for _ in range(3):
        with suppress(errors.RateLimitError):
            await start(client, within=30)


Counts = list[tuple[str, str, float]]
TOKEN = Reply(body={"access_token": "token"}, after=2.0)
OK = Reply(body={**STARTED, "status": "completed", "response": "a"}, after=1.5)
WAIT = Reply(429, headers={"Retry-After": "600"})
FETCHED = ("token", "200", 2.0)


@pytest.mark.parametrize(
    ("script", "call", "requests", "events"),
    [
        ([OK], start, [FETCHED, ("start", "200", 1.5)], []),
        ([Reply(401), OK], READS["status"], [FETCHED, ("status", "401", 0.0), FETCHED, ("status", "200", 1.5)], []),
        ([HANGS], poll_and_leave, [FETCHED, ("status", "cancelled", 5.0)], []),
        ([WAIT], start_three_times, [FETCHED, ("start", "429", 0.0)], ["held"] * 2),
    ],
)
async def test_every_request_is_counted_when_it_ends_with_its_endpoint_status_and_seconds(
    script: list[Script], call: Call, requests: Counts, events: list[Event]
) -> None:
    """Tokens are an endpoint of their own. A start that is not sent because of a pause is an event."""
    counted = Counted()
    stats = start_call_stats(counted)
    await call(contit_client(scripted(*script), auth=token_auth(scripted(TOKEN)), retry=ONCE))
    assert (counted.requests, counted.events, stats.requests) == (requests, events, len(requests))

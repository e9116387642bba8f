"""What each outcome of a request means: to a read, to a start, to the counters, and to the pace of all polls.

Nothing that Contit or httpx writes is passed on. Virtual time.
"""

import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import HTTPX_ERRORS, translate
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.contit.upstream import RUNNING, Kept, contit_client, scripted, start
from tests.echo_contit import Reply, Script

MARKER = "sk-secret at https://hidden.example/?api_key=sk-secret"


def with_all_below(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(with_all_below(child) for child in kind.__subclasses__()))


def made(kind: type[Exception]) -> Exception:
    """An instance as httpx would raise it, with a text that must go nowhere."""
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "https://hidden.example")
        return httpx.HTTPStatusError(MARKER, request=request, response=httpx.Response(500, request=request))
    if issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
        return kind()  # type: ignore[call-arg]
    return kind(MARKER)


ALL_OF_HTTPX = {kind for root in HTTPX_ERRORS for kind in with_all_below(root) if kind.__module__.startswith("httpx")}
ABOUT_THE_CONNECTION = {*with_all_below(httpx.TransportError), httpx.InvalidURL}
BEFORE_SENDING = {
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ConnectError,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}
"""With these, and only these, Contit certainly got nothing: no connection stood when they were raised."""


@dataclass(frozen=True)
class Outcome:
    """What comes, the error it is, what it is counted as, and what it leads to."""

    script: Script
    kind: type[errors.APIError]
    counted_as: str
    repeats_reads: bool = False
    repeats_starts: bool = False  # Contit cannot have accepted it
    slows_down: bool = False


def of_httpx(kind: type[Exception]) -> Outcome:
    ours: type[errors.APIError] = errors.APIResponseValidationError
    if kind in ABOUT_THE_CONNECTION:
        ours = errors.APITimeoutError if issubclass(kind, httpx.TimeoutException) else errors.APIConnectionError
    slows_down = kind in ABOUT_THE_CONNECTION and kind is not httpx.PoolTimeout
    counted_as = "pool" if kind is httpx.PoolTimeout else "none"
    return Outcome(made(kind), ours, counted_as, True, kind in BEFORE_SENDING, slows_down)


def refused(status: int, kind: type[errors.APIError], *repeats_and_slows: bool) -> Outcome:
    """A refusal that names another host and says something."""
    reply = Reply(status, f"<h1>{MARKER}</h1>", {"Location": "https://hidden.example/"})
    return Outcome(reply, kind, str(status), *repeats_and_slows)


BROKEN = {
    "HTML": f"<!doctype html>{MARKER}",
    "broken": '{"threadId": "thread-1", "runId": "ru',
    "missing": {},
    "wrong types": {"status": 3, "response": 3, "threadId": 17, "runId": "run-1"},
    "null": {"status": None, "response": None, "threadId": "thread-1", "runId": None},
    "no ids, no word": {"status": "", "response": None, "threadId": "thread-1", "runId": ""},
    "hidden, long": {"status": "x" * 201, "response": [], "threadId": "thread\u200b", "runId": "run-1"},
    "broken ids": {"threadId": "x" * 257, "runId": "run\n1"},
    "not utf-8": b'{"threadId": "\xff\xfe", "runId": "run-1"}',
    "very deep": b"[" * 100_000,
}
OUTCOMES = {
    "400": refused(400, errors.BadRequestError),
    "401": refused(401, errors.AuthenticationError),
    "403": refused(403, errors.PermissionDeniedError),
    "404": refused(404, errors.NotFoundError),
    "409": refused(409, errors.ConflictError),
    "422": refused(422, errors.UnprocessableEntityError),
    "429": refused(429, errors.RateLimitError, True, True, True),
    "503": refused(503, errors.InternalServerError, True, True, True),
    **{str(status): refused(status, errors.RedirectError) for status in (300, 301, 302, 304, 307, 308)},
    **{str(status): refused(status, errors.APIStatusError) for status in (402, 413, 418, 451)},
    **{str(status): refused(status, errors.InternalServerError, True, False, True) for status in (500, 502, 504, 529)},
    **{
        name: Outcome(Reply(200, body), errors.APIResponseValidationError, "200", True) for name, body in BROKEN.items()
    },
    **{kind.__name__: of_httpx(kind) for kind in sorted(ALL_OF_HTTPX, key=str)},
}
READS: list[Callable[[ContitClient], Awaitable[object]]] = [
    lambda client: client.run_status("t", "r"),
    lambda client: client.thread_response("t"),
]
each_outcome = pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)


def assert_tells_nothing(error: errors.APIError, logged: io.StringIO) -> None:
    told = f"{error} {error!r} {error.message} {error.hint} {error.args} {logged.getvalue()}"
    assert not any(text in told for text in ("sk-secret", "hidden.example", "thread-1", "run-1"))


@pytest.mark.anyio
@each_outcome
async def test_a_read_is_repeated_after_what_may_pass(outcome: Outcome, logged: io.StringIO) -> None:
    for read in READS:
        upstream, stats = scripted(outcome.script), start_call_stats()
        with pytest.raises(errors.APIError) as caught:
            await read(contit_client(upstream))
        requests = 4 if outcome.repeats_reads else 1
        assert type(caught.value) is outcome.kind
        assert (len(upstream.received), dict(stats.statuses)) == (requests, {outcome.counted_as: requests})
        assert (stats.requests, stats.retries) == (0 if outcome.counted_as == "pool" else requests, requests - 1)
        assert upstream.hosts == {"contit.test"}
        assert_tells_nothing(caught.value, logged)


@pytest.mark.anyio
@each_outcome
async def test_a_start_is_repeated_only_if_contit_cannot_have_accepted_it(
    outcome: Outcome, logged: io.StringIO
) -> None:
    upstream, kept = scripted(outcome.script), Kept()
    with pytest.raises(errors.APIError) as caught:
        await start(contit_client(upstream), keep=kept)
    assert type(caught.value) is outcome.kind
    assert (len(upstream.received), kept.runs) == (4 if outcome.repeats_starts else 1, [])
    if isinstance(caught.value, errors.APIConnectionError):
        assert caught.value.may_have_arrived is not outcome.repeats_starts
    if outcome.counted_as not in {"none", "pool"}:
        assert caught.value.__context__ is None  # it could quote the body
    assert upstream.hosts == {"contit.test"}
    assert_tells_nothing(caught.value, logged)


async def poll(client: ContitClient, seconds: float) -> list[float]:
    """Poll every second as the assistant does, and return when each poll was sent."""
    until, polls = anyio.current_time() + seconds, list[float]()
    while anyio.current_time() < until:
        polls.append(anyio.current_time())
        with suppress(errors.APIError):
            await client.run_status("t", "r", deadline=anyio.current_time())
        await client.backoff.pause(1.0)
    return polls


@pytest.mark.anyio
@each_outcome
async def test_polls_slow_down_to_a_quarter_while_contit_fails_and_then_recover(outcome: Outcome) -> None:
    """What is no fault of Contit, and a fault that passes, slows nothing down."""
    upstream = scripted(outcome.script)
    client = contit_client(upstream)
    polls = await poll(client, 60)
    assert client.backoff.stretch == (4.0 if outcome.slows_down else 1.0)
    assert polls[-1] - polls[-2] == pytest.approx(client.backoff.stretch)
    upstream.script[:] = [RUNNING]
    polls = await poll(client, 60)
    assert polls[-1] - polls[-2] == pytest.approx(1.0)
    if outcome.kind is not errors.RateLimitError:
        client = contit_client(scripted(*[RUNNING, outcome.script] * 30))
        await poll(client, 40)
        assert client.backoff.stretch == 1.0


def test_everything_httpx_exports_as_an_exception_is_caught() -> None:
    public = [getattr(httpx, name) for name in httpx.__all__]
    exceptions = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)}
    assert exceptions <= ALL_OF_HTTPX
    assert len(ALL_OF_HTTPX) > 25


def test_a_class_that_a_later_httpx_adds_is_taken_for_sent() -> None:
    class NewError(httpx.TransportError): ...

    class NewTimeout(httpx.TimeoutException): ...

    for kind, ours in ((NewError, errors.APIConnectionError), (NewTimeout, errors.APITimeoutError)):
        error = translate(kind("x"))
        assert type(error) is ours
        assert isinstance(error, errors.APIConnectionError)
        assert error.may_have_arrived

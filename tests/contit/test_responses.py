"""From an HTTP answer, or an error of httpx, to a model or one of our errors; nothing of their text is passed on."""

import io
import json
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contit_mcp import errors
from contit_mcp.contit.transport import HTTPX_ERRORS, translate
from contit_mcp.contit.wire import RunStatus, ThreadResponse, parse, parse_retry_after
from contit_mcp.errors import APIConnectionError, APIError, APIResponseValidationError, APITimeoutError
from tests.contit.upstream import Kept, contit_client, scripted, start

NOW = datetime(2026, 3, 15, 12, 0, 0, tzinfo=UTC)
A_DAY = 86_400.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("86401", A_DAY),
        ("Sun, 15 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 15 Mar 2026 11:00:00 GMT", 0.0),
        ("Mon, 15 Mar 2027 12:00:00 GMT", A_DAY),
        ("Sunday, 15-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar 15 12:00:30 2026", 30.0),
        ("Sun, 15 Mar 2026 13:00:30 +0100", 30.0),
        ("Sun, 15 Mar 2026 12:00:30 -0000", 30.0),
        pytest.param("9" * 5_000, A_DAY, id="5,000 digits"),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0665", None),  # an Arabic five
        ("\u00b2", None),  # a superscript two
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("Sun, 15 Mar 2026 12:00:30 +999999999999999999", None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str | None, seconds: float | None) -> None:
    """At most a day; anything else counts as absent."""
    assert parse_retry_after(value, now=NOW) == seconds


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,4} [A-Za-z]{3} \d{1,9} \d+:\d+:\d+ [-+A-Z0-9]{0,20}"))
@example("Sun, 15 Mar 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_no_retry_after_can_break_the_parser(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or 0.0 <= seconds <= A_DAY


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "when"), [("0", "1 second"), ("2", "2 seconds"), ("soon", "a little while")])
def test_the_hint_says_when_to_try_again(status: int, header: str, when: str) -> None:
    with pytest.raises(errors.APIStatusError) as caught:
        parse(httpx.Response(status, headers={"Retry-After": header}), RunStatus)
    assert caught.value.hint == f"Try again in {when}."


ERRORS = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308), errors.RedirectError),
    **dict.fromkeys((500, 502, 503, 504, 529, 599), errors.InternalServerError),
    **dict.fromkeys((199, 402, 405, 413, 418, 451), errors.APIStatusError),
}


@pytest.mark.parametrize("status", ERRORS)
def test_every_status_but_2xx_is_an_error_of_its_status(status: int) -> None:
    with pytest.raises(errors.APIStatusError) as caught:
        parse(httpx.Response(status, content=b'{"status": "completed"}'), RunStatus)
    assert type(caught.value) is ERRORS[status]
    assert caught.value.status_code == status


MARKER = "sk-secret at https://hidden.example/?api_key=sk-secret"
BODIES = {
    "problem": (json.dumps({"title": MARKER, "detail": MARKER}), "application/problem+json"),
    "html": (f"<h1>{MARKER}</h1>", "text/html; charset=utf-8"),
    "keys": (json.dumps({f"{MARKER} 1": 1, "error": MARKER}), "application/json"),
    "type": ("{}", f"text/plain; name={MARKER}"),
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("name", BODIES)
def test_of_a_refused_body_only_the_shape_is_logged(name: str, status: int, logged: io.StringIO) -> None:
    body, media_type = BODIES[name]
    response = httpx.Response(status, content=body.encode(), headers={"Content-Type": media_type})
    with pytest.raises(errors.APIError) as caught:
        parse(response, ThreadResponse)
    assert MARKER not in f"{caught.value!r}{caught.value.message}{caught.value.hint}{logged.getvalue()}"
    shape = json.loads(logged.getvalue().splitlines()[0])
    assert (shape["event"], shape["level"]) == ("upstream.refused_body", "debug")
    assert (shape["status"], shape["size"]) == (status, len(body.encode()))
    assert media_type.startswith(shape["media_type"])


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr))
def test_no_body_can_break_the_parser(body: bytes | str) -> None:
    response = httpx.Response(200, content=body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))
    with pytest.raises(errors.APIResponseValidationError):
        parse(response, ThreadResponse)


def with_all_below(kind: type[Exception]) -> set[type[Exception]]:
    """The class and every class derived from it."""
    return {kind}.union(*(with_all_below(child) for child in kind.__subclasses__()))


def made(kind: type[Exception]) -> Exception:
    """An instance as httpx would raise it, with a text that must go nowhere."""
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "https://hidden.example")
        return httpx.HTTPStatusError(MARKER, request=request, response=httpx.Response(500, request=request))
    if issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
        return kind()  # type: ignore[call-arg]
    return kind(MARKER)


ALL_OF_HTTPX = sorted(
    {kind for root in HTTPX_ERRORS for kind in with_all_below(root) if kind.__module__.startswith("httpx")},
    key=lambda kind: kind.__name__,
)
BEFORE_SENDING = {
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ConnectError,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}
"""With these, and only these, Contit certainly got nothing: no connection stood when they were raised."""

ABOUT_THE_CONNECTION = {*with_all_below(httpx.TransportError), httpx.InvalidURL}


def test_everything_httpx_exports_as_an_exception_is_caught() -> None:
    public = [getattr(httpx, name) for name in httpx.__all__]
    exceptions = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)}
    assert exceptions <= set(ALL_OF_HTTPX)
    assert len(ALL_OF_HTTPX) > 25


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ALL_OF_HTTPX)
async def test_every_error_of_httpx_becomes_ours_without_its_text(kind: type[Exception], logged: io.StringIO) -> None:
    upstream, kept = scripted(made(kind)), Kept()
    client = contit_client(upstream)
    with pytest.raises(APIError) as read:
        await client.run_status("thread-1", "run-1")
    assert len(upstream.received) == 4
    with pytest.raises(APIError) as started:
        await start(client, keep=kept)
    assert len(upstream.received) - 4 == (4 if kind in BEFORE_SENDING else 1)
    assert kept.runs == []
    for ours in (read.value, started.value):
        assert isinstance(ours.__cause__, kind)
        assert "sk-secret" not in f"{ours} {ours!r} {ours.message} {ours.hint} {ours.args}"
        assert isinstance(ours, APITimeoutError) is issubclass(kind, httpx.TimeoutException)
        assert isinstance(ours, APIConnectionError) is (kind in ABOUT_THE_CONNECTION)
        if isinstance(ours, APIConnectionError):
            assert ours.may_have_arrived is (kind not in BEFORE_SENDING)
        else:
            assert isinstance(ours, APIResponseValidationError)
    assert "sk-secret" not in logged.getvalue()


def test_a_class_that_a_later_httpx_adds_is_taken_for_sent() -> None:
    class NewError(httpx.TransportError): ...

    class NewTimeout(httpx.TimeoutException): ...

    for kind, ours in ((NewError, APIConnectionError), (NewTimeout, APITimeoutError)):
        error = translate(kind("x"))
        assert type(error) is ours
        assert isinstance(error, APIConnectionError)
        assert error.may_have_arrived

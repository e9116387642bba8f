"""From an HTTP answer to a model or an error; `Retry-After` in all its forms."""

import io
import json
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contit_mcp import errors
from contit_mcp.contit.wire import RunStatus, ThreadResponse, parse, parse_retry_after

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


MARKER = "the-article-nobody-may-see"
BODIES = {
    "problem": (json.dumps({"title": MARKER, "detail": MARKER}), "application/problem+json"),
    "html": (f"<h1>{MARKER}</h1>", "text/html; charset=utf-8"),
    "keys": (json.dumps({f"{MARKER} 1": 1, "error": MARKER}), "application/json"),
    "type": ("{}", f"text/plain; name={MARKER}"),
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("name", BODIES)
def test_what_a_refused_body_says_is_neither_logged_nor_told_but_its_shape(
    name: str, status: int, logged: io.StringIO
) -> None:
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

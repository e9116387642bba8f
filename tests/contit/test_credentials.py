"""Credentials: each is in its own header alone and follows its file; requests share one OAuth2 token. Virtual time."""

import base64
import io
import itertools
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from urllib.parse import parse_qs

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.errors import ConfigurationError
from tests.contit.upstream import HANGS, START_OK, STARTED, TOKEN_URL, Kept, contit_client, scripted, start, token_auth
from tests.echo_contit import EchoContit, Reply, Script

pytestmark = pytest.mark.anyio
each_kind = pytest.mark.parametrize("kind", [APIKeyAuth, AccessTokenAuth])

Kind = type[APIKeyAuth | AccessTokenAuth]
SECRET = "ctpat_Very-Secret+Value/42="
HEADERS = {APIKeyAuth: ("x-api-key", SECRET), AccessTokenAuth: ("authorization", f"Bearer {SECRET}")}
UNUSABLE = ("two\nlines", "two\r\nX-Evil: 1", "nul\x00", "ünicode", " blank", "blank ", "zero\u200b", "odd\udcff", "")


@each_kind
async def test_a_credential_is_in_its_documented_header_and_nowhere_else(kind: Kind, logged: io.StringIO) -> None:
    header, value = HEADERS[kind]
    body = {"threadId": "t", "runId": "r", "status": "completed", "response": "a"}
    upstream, auth = scripted(Reply(503), Reply(body=body)), kind(SecretValue("CONTIT_API_KEY", value=SECRET))
    client = contit_client(upstream, auth=auth)
    await start(client, thread_id="a-thread-of-somebody")
    await client.run_status("t", "r")
    await client.thread_response("t")
    assert len(upstream.received) == 4
    for request in upstream.received:
        assert request.headers.get_list(header) == [value]
        del request.headers[header]
        assert not {"x-api-key", "authorization"} & set(request.headers)
        assert SECRET not in f"{request.url} {request.headers.raw} {request.content!r} {request.extensions}"
    assert SECRET not in f"{auth} {auth!r} {vars(auth)}"
    assert auth.identity().endswith(f":{SECRET}")
    assert "upstream.retry" in logged.getvalue()
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)  # it logs every address
    encoded = base64.b64encode(SECRET.encode()).decode()
    for hidden in (SECRET, encoded, "a-thread-of-somebody", "contit.test", "What is"):
        assert hidden not in logged.getvalue()


@each_kind
async def test_a_changed_file_is_used_for_the_next_request(kind: Kind, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first-secret\n")
    auth = kind(SecretValue("CONTIT_API_KEY", file=file))
    upstream = scripted(START_OK)
    client = contit_client(upstream, auth=auth)
    await start(client)
    file.write_text("other-secret\n")
    await start(client)
    sent = [request.headers[HEADERS[kind][0]].split()[-1] for request in upstream.received]
    assert sent == ["first-secret", "other-secret"]
    assert auth.identity().endswith(":other-secret")


@pytest.mark.parametrize("secret", UNUSABLE)
async def test_a_credential_that_no_header_can_carry_is_named_without_its_value(secret: str) -> None:
    value, tokens, upstream = SecretValue("CONTIT_CLIENT_SECRET", value=secret), scripted(token()), scripted(START_OK)
    for auth in (APIKeyAuth(value), AccessTokenAuth(value), token_auth(tokens, secret)):
        with pytest.raises(ConfigurationError) as caught:
            await start(contit_client(upstream, auth=auth))
        assert caught.value.message.startswith("CONTIT_CLIENT_SECRET ")
        assert not secret or secret not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"
    assert (tokens.received, upstream.received) == ([], [])


def token(value: str = "token-1", expires_in: object = 3_600) -> Reply:
    return Reply(body={"access_token": value, "token_type": "Bearer", "expires_in": expires_in})


def numbered_tokens(*, after: float = 0.0) -> Script:
    """Return a script that gives a new token each time: token-1, token-2, …"""
    numbers = itertools.count(1)
    return lambda _: Reply(body={"access_token": f"token-{next(numbers)}"}, after=after)


def contit(*, accepts: Callable[[str], bool] = lambda _: True) -> EchoContit:
    def reply(request: httpx.Request) -> Reply:
        if not accepts(request.headers["Authorization"].removeprefix("Bearer ")):
            return Reply(401)
        return Reply(body={**STARTED, "status": "in_progress", "response": "a"})

    return scripted(reply)


def client_for(tokens: EchoContit, upstream: EchoContit) -> ContitClient:
    return contit_client(upstream, auth=token_auth(tokens, SECRET))


def sent_tokens(upstream: EchoContit) -> list[str]:
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in upstream.received]


async def fifty_times(ask: Callable[[], Coroutine[None, None, object]]) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(ask)


async def test_a_token_is_asked_for_as_documented_and_never_shown(logged: io.StringIO) -> None:
    tokens, upstream = scripted(token()), contit()
    auth = token_auth(tokens, SECRET)
    await contit_client(upstream, auth=auth).run_status("t", "r")
    (request,) = tokens.received
    assert (request.method, str(request.url)) == ("POST", TOKEN_URL)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["my-client"],
        "client_secret": [SECRET],
    }
    assert "Authorization" not in request.headers
    assert sent_tokens(upstream) == ["token-1"]
    assert SECRET not in str(upstream.received[0].headers)
    for hidden in (SECRET, "token-1"):
        assert hidden not in f"{auth} {auth!r} {vars(auth)}{logged.getvalue()}"
    assert auth.identity() == "client:my-client"


@pytest.mark.parametrize(
    ("answer", "renewed_at"),
    [
        ({"expires_in": "3600"}, 3_540.0),  # a minute before its end
        ({"expires_in": 10.5, "scope": "all", "refresh_token": "x"}, 5.25),  # half a short life
        ({"token_type": 7, "expires_in": None}, 3_540.0),  # an hour if it does not say (documented)
    ],
)
async def test_a_token_is_renewed_before_it_expires(answer: dict[str, object], renewed_at: float) -> None:
    tokens, upstream = scripted(Reply(body={"access_token": "token-1", **answer}), token("token-2")), contit()
    client = client_for(tokens, upstream)
    began = anyio.current_time()
    await client.run_status("t", "r")
    await anyio.sleep_until(began + renewed_at - 0.001)
    await client.run_status("t", "r")
    await anyio.sleep_until(began + renewed_at)
    await client.run_status("t", "r")
    assert sent_tokens(upstream) == ["token-1", "token-1", "token-2"]


async def test_a_refused_token_is_renewed_once_and_the_request_repeated_once() -> None:
    tokens, upstream, kept = scripted(numbered_tokens()), contit(accepts=lambda value: value != "token-1"), Kept()
    await start(client_for(tokens, upstream), keep=kept)
    assert [run.run_id for run in kept.runs] == ["run-1"]
    assert sent_tokens(upstream) == ["token-1", "token-2"]
    assert upstream.received[0].content == upstream.received[1].content != b""
    tokens, upstream = scripted(numbered_tokens()), contit(accepts=lambda _: False)
    with pytest.raises(errors.AuthenticationError):
        await client_for(tokens, upstream).run_status("t", "r")
    assert sent_tokens(upstream) == ["token-1", "token-2"]
    assert len(tokens.received) == 2
    tokens, upstream = scripted(token(), Reply(404)), contit(accepts=lambda _: False)
    with pytest.raises(errors.AuthenticationError, match="HTTP 404"):
        await client_for(tokens, upstream).run_status("t", "r")
    assert len(upstream.received) == 1


async def test_fifty_requests_at_once_share_one_token_one_renewal_and_one_failure() -> None:
    tokens, upstream = scripted(numbered_tokens(after=1.0)), contit(accepts=lambda value: value != "token-1")
    client = client_for(tokens, upstream)
    await fifty_times(lambda: client.run_status("t", "r"))
    assert len(tokens.received) == 2
    assert sorted(sent_tokens(upstream)) == ["token-1"] * 50 + ["token-2"] * 50
    tokens, upstream = scripted(Reply(500, after=0.1)), contit()
    client = client_for(tokens, upstream)

    async def fails() -> None:
        with pytest.raises(errors.APIConnectionError):
            await client.run_status("t", "r")

    await fifty_times(fails)
    assert (len(tokens.received), upstream.received) == (4, [])


REFUSED = {"error": "invalid_client", "error_description": SECRET}
ELSEWHERE = {"Location": "https://elsewhere.test/connect/token"}
FAILURES: dict[str, tuple[Script, type[errors.APIError], str]] = {
    # The answer of the endpoint, the error that the caller gets, and a part of the error's text.
    **{str(n): (Reply(n, REFUSED), errors.AuthenticationError, "client secret") for n in (400, 401, 403)},
    **{str(n): (Reply(n, headers=ELSEWHERE), errors.AuthenticationError, f"HTTP {n}") for n in (302, 307, 404, 409)},
    "500": (Reply(500), errors.APIConnectionError, "nothing was sent to Contit"),
    "429": (Reply(429), errors.RateLimitError, "429"),
    "reset": (httpx.ReadError("x"), errors.APIConnectionError, "nothing was sent to Contit"),
    "silent": (httpx.ReadTimeout("x"), errors.APITimeoutError, "nothing was sent to Contit"),
    "hangs": (HANGS, errors.APITimeoutError, "nothing was sent to Contit"),
    "html": (Reply(200, "<!doctype html>"), errors.APIResponseValidationError, "not a token"),
    "empty token": (token(""), errors.APIResponseValidationError, "not a token"),
    "line break": (token("one\r\nX-Evil: 1"), errors.APIResponseValidationError, "not a token"),
    "expired": (token(expires_in=0), errors.APIResponseValidationError, "not a token"),
    "endless": (token(expires_in=float("inf")), errors.APIResponseValidationError, "not a token"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_without_a_token_nothing_is_sent_and_a_failure_that_may_pass_is_retried(name: str) -> None:
    """The error has no other status than 401 or 429: a 400 or 404 would be taken for one of Contit's."""
    fault, kind, text = FAILURES[name]
    final = kind is errors.AuthenticationError
    tokens, upstream = scripted(fault), contit()
    began = anyio.current_time()
    with pytest.raises(errors.APIError, match=text) as caught:
        await start(client_for(tokens, upstream), thread_id="thread-1", within=1_000)
    assert type(caught.value) is kind
    assert not getattr(caught.value, "may_have_arrived", False)
    assert getattr(caught.value, "status_code", 401) == (429 if name == "429" else 401)
    told = f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert SECRET not in told
    assert "invalid_client" not in told
    assert ("CONTIT_TOKEN_URL" in told) is (name != "429")
    assert (upstream.received, tokens.hosts) == ([], {"idp.contit.test"})
    if final:
        assert len(tokens.received) == 1
    elif name == "hangs":
        assert anyio.current_time() - began >= 15.0
    else:
        tokens = scripted(fault, fault, token())
        await start(client_for(tokens, upstream))
        assert (len(tokens.received), len(upstream.received)) == (3, 1)


@pytest.mark.parametrize(("asked", "pause"), [(None, 3.0), ("40", 40.0), ("3600", 60.0)])
async def test_a_failing_token_endpoint_is_asked_again_after_a_pause(asked: str | None, pause: float) -> None:
    tokens, upstream = scripted(Reply(429, headers={"Retry-After": asked} if asked else {})), contit()
    client = client_for(tokens, upstream)

    async def fails() -> None:
        with pytest.raises(errors.RateLimitError):
            await client.run_status("t", "r", deadline=anyio.current_time())

    await fails()
    failed_at, before = anyio.current_time(), len(tokens.received)
    await anyio.sleep_until(failed_at + pause - 0.001)
    await fails()
    assert len(tokens.received) == before
    tokens.script = [token()]
    await anyio.sleep_until(failed_at + pause)
    await client.run_status("t", "r")
    assert sent_tokens(upstream) == ["token-1"]


async def test_a_token_that_is_still_good_is_used_while_it_cannot_be_renewed(logged: io.StringIO) -> None:
    tokens, upstream = scripted(token(), Reply(500)), contit()
    client = client_for(tokens, upstream)
    began = anyio.current_time()
    await client.run_status("t", "r")
    await anyio.sleep_until(began + 3_550)
    await client.run_status("t", "r")
    assert sent_tokens(upstream) == ["token-1", "token-1"]
    assert "token.renewal_failed" in logged.getvalue()
    await anyio.sleep_until(began + 3_600)
    with pytest.raises(errors.APIConnectionError):
        await client.run_status("t", "r")
    assert len(upstream.received) == 2


async def test_when_a_caller_leaves_while_it_fetches_the_token_the_next_one_fetches_it() -> None:
    tokens, upstream = scripted(HANGS, token()), contit()
    client = client_for(tokens, upstream)

    async def leave() -> None:
        with anyio.move_on_after(1.0):
            await client.run_status("t", "first")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        await anyio.sleep(0.5)
        await client.run_status("t", "second")
    assert (len(tokens.received), tokens.abandoned, len(upstream.received)) == (2, 1, 1)

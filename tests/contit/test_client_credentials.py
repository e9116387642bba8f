"""OAuth2 client credentials: one token for all, renewed in time, and no stampede. Virtual time."""

import io
import itertools
from collections.abc import Callable, Coroutine
from urllib.parse import parse_qs

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from tests.contit.upstream import HANGS, STARTED, TOKEN_URL, Kept, client_credentials, contit_client, scripted, start
from tests.echo_contit import EchoContit, Reply, Script

pytestmark = pytest.mark.anyio

SECRET = "client-secret-nobody-may-see"


def token(value: str = "token-1", expires_in: object = 3_600) -> Reply:
    return Reply(body={"access_token": value, "token_type": "Bearer", "expires_in": expires_in})


def numbered_tokens(*, after: float = 0.0, expires_in: int = 3_600) -> Script:
    """A new token each time: token-1, token-2, …"""
    numbers = itertools.count(1)
    body = {"token_type": "bearer", "expires_in": expires_in}
    return lambda _: Reply(body={**body, "access_token": f"token-{next(numbers)}"}, after=after)


def contit(*, takes: Callable[[str], bool] = lambda _: True) -> EchoContit:
    """A Contit that answers requests with a valid token, and all others with 401."""

    def reply(request: httpx.Request) -> Reply:
        if not takes(request.headers["Authorization"].removeprefix("Bearer ")):
            return Reply(401)
        return Reply(body={**STARTED, "status": "in_progress", "response": "a"})

    return scripted(reply)


def client_for(tokens: EchoContit, upstream: EchoContit) -> ContitClient:
    return contit_client(upstream, auth=client_credentials(tokens, SECRET))


def sent_tokens(upstream: EchoContit) -> list[str]:
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in upstream.received]


async def fifty(ask: Callable[[], Coroutine[None, None, object]]) -> None:
    """Ask fifty times at once."""
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(ask)


# --- Getting a token ---------------------------------------------------------------------------------------------


async def test_a_token_is_asked_for_as_documented_and_never_shown(logged: io.StringIO) -> None:
    tokens, upstream = scripted(token()), contit()
    auth = client_credentials(tokens, SECRET)
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
        ({"expires_in": 3_600}, 3_540.0),  # a minute before its end
        ({"expires_in": "120"}, 60.0),  # where both rules meet
        ({"expires_in": 10.5, "scope": "all", "refresh_token": "x"}, 5.25),  # half a short life
        ({"token_type": 7}, 3_540.0),  # an hour if it does not say (documented)
        ({"expires_in": None}, 3_540.0),
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


# --- 401 ---------------------------------------------------------------------------------------------------------


async def test_a_refused_token_is_renewed_once_and_the_request_repeated_once() -> None:
    tokens, upstream, kept = scripted(numbered_tokens()), contit(takes=lambda value: value != "token-1"), Kept()
    await start(client_for(tokens, upstream), keep=kept)
    assert [run.run_id for run in kept.runs] == ["run-1"]
    assert sent_tokens(upstream) == ["token-1", "token-2"]
    assert upstream.received[0].content == upstream.received[1].content != b""
    tokens, upstream = scripted(numbered_tokens()), contit(takes=lambda _: False)
    with pytest.raises(errors.AuthenticationError):
        await client_for(tokens, upstream).run_status("t", "r")
    assert sent_tokens(upstream) == ["token-1", "token-2"]
    assert len(tokens.received) == 2


async def test_fifty_requests_at_once_share_one_token_and_one_renewal() -> None:
    tokens, upstream = scripted(numbered_tokens(after=1.0)), contit(takes=lambda value: value != "token-1")
    client = client_for(tokens, upstream)
    await fifty(lambda: client.run_status("t", "r"))
    assert len(tokens.received) == 2
    assert sorted(sent_tokens(upstream)) == ["token-1"] * 50 + ["token-2"] * 50


# --- A token endpoint that does not give a token -----------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_client_is_an_authentication_error_that_names_the_settings(status: int) -> None:
    tokens, upstream = scripted(Reply(status, {"error": "invalid_client", "error_description": SECRET})), contit()
    with pytest.raises(errors.AuthenticationError) as caught:
        await start(client_for(tokens, upstream), thread_id="thread-1")
    told = f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert all(name in told for name in ("CONTIT_CLIENT_ID", "CONTIT_CLIENT_SECRET", "CONTIT_TOKEN_URL"))
    assert SECRET not in told
    assert "invalid_client" not in told
    assert caught.value.status_code == 401  # 400 would look as if the thread were busy
    assert (len(tokens.received), len(upstream.received)) == (1, 0)


@pytest.mark.parametrize("status", [302, 307, 404, 409, 422])
async def test_an_address_without_a_token_endpoint_is_an_authentication_error(status: int) -> None:
    """A 404 of it must not look like replication lag, and no redirect is followed."""
    elsewhere = {"Location": "https://elsewhere.test/connect/token"}
    tokens, upstream = scripted(Reply(status, headers=elsewhere), token()), contit()
    with pytest.raises(errors.AuthenticationError, match=f"HTTP {status}") as caught:
        await client_for(tokens, upstream).run_status("t", "r", just_started=True)
    assert caught.value.status_code == 401
    assert "CONTIT_TOKEN_URL" in caught.value.hint
    assert tokens.hosts == {"idp.contit.test"}
    assert (len(tokens.received), len(upstream.received)) == (1, 0)


PASSING: dict[str, tuple[Script, type[errors.APIError]]] = {
    "500": (Reply(500), errors.APIConnectionError),
    "429": (Reply(429), errors.RateLimitError),
    "refused": (httpx.ConnectError("x"), errors.APIConnectionError),
    "reset": (httpx.ReadError("x"), errors.APIConnectionError),
    "silent": (httpx.ReadTimeout("x"), errors.APITimeoutError),
    "html": (Reply(200, "<!doctype html>"), errors.APIResponseValidationError),
    "no token": (Reply(200, {"token_type": "Bearer"}), errors.APIResponseValidationError),
    "empty token": (token(""), errors.APIResponseValidationError),
    "line break": (token("one\r\nX-Evil: 1"), errors.APIResponseValidationError),
    "not ASCII": (token("tökén"), errors.APIResponseValidationError),
    "expired": (token(expires_in=0), errors.APIResponseValidationError),
    "endless": (Reply(200, '{"access_token": "t", "expires_in": Infinity}'), errors.APIResponseValidationError),
    "no number": (token(expires_in="soon"), errors.APIResponseValidationError),
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_token_that_cannot_be_had_means_that_nothing_was_sent_and_a_late_one_is_used(name: str) -> None:
    fault, kind = PASSING[name]
    tokens, upstream = scripted(fault), contit()
    with pytest.raises(errors.APIError) as caught:
        await start(client_for(tokens, upstream))
    assert type(caught.value) is kind
    assert not getattr(caught.value, "may_have_arrived", False)
    assert "token" in caught.value.message
    assert SECRET not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"
    assert upstream.received == []
    tokens = scripted(fault, fault, token())
    await start(client_for(tokens, upstream))
    assert (len(tokens.received), len(upstream.received)) == (3, 1)


async def test_a_token_endpoint_that_hangs_ends_as_a_timeout_in_which_nothing_was_sent() -> None:
    tokens, upstream = scripted(HANGS), contit()
    began = anyio.current_time()
    with pytest.raises(errors.APITimeoutError, match="token") as caught:
        await start(client_for(tokens, upstream), within=1.0)
    assert not caught.value.may_have_arrived
    assert anyio.current_time() - began == pytest.approx(15.0)
    assert upstream.received == []


async def test_a_failing_endpoint_is_asked_once_for_all_that_wait() -> None:
    tokens, upstream = scripted(Reply(500, after=0.1)), contit()
    client = client_for(tokens, upstream)
    failed: list[errors.APIError] = []

    async def ask() -> None:
        with pytest.raises(errors.APIConnectionError) as caught:
            await client.run_status("t", "r")
        failed.append(caught.value)

    await fifty(ask)
    assert len({id(error) for error in failed}) == 50  # each has a traceback of its own
    assert len(tokens.received) == 4
    assert upstream.received == []


@pytest.mark.parametrize(("asked", "asked_again_after"), [(None, 3.0), ("40", 40.0), ("3600", 60.0)])
async def test_a_failing_endpoint_is_asked_again_after_a_pause_that_it_can_lengthen(
    asked: str | None, asked_again_after: float
) -> None:
    tokens, upstream = scripted(Reply(429, headers={"Retry-After": asked} if asked else {})), contit()
    client = client_for(tokens, upstream)

    async def fails() -> None:
        with pytest.raises(errors.RateLimitError):
            await client.run_status("t", "r", deadline=anyio.current_time())

    await fails()
    failed_at, before = anyio.current_time(), len(tokens.received)
    await anyio.sleep_until(failed_at + asked_again_after - 0.001)
    await fails()
    assert len(tokens.received) == before
    tokens.script = [token()]
    await anyio.sleep_until(failed_at + asked_again_after)
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


async def test_a_refused_token_is_not_used_while_it_cannot_be_renewed() -> None:
    tokens, upstream = scripted(token(), Reply(404)), contit(takes=lambda _: False)
    with pytest.raises(errors.AuthenticationError, match="HTTP 404"):
        await client_for(tokens, upstream).run_status("t", "r")
    assert len(upstream.received) == 1


async def test_a_cancelled_caller_leaves_the_asking_to_the_next() -> None:
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


@pytest.mark.parametrize("secret", ["two\nlines", "ünicode-secret", "nul\x00", ""])
async def test_a_client_secret_that_cannot_be_one_is_named_without_its_value(secret: str) -> None:
    tokens, upstream = scripted(token()), contit()
    with pytest.raises(errors.ConfigurationError) as caught:
        await contit_client(upstream, auth=client_credentials(tokens, secret)).run_status("t", "r")
    assert caught.value.message.startswith("CONTIT_CLIENT_SECRET ")
    assert not secret or secret not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"
    assert (tokens.received, upstream.received) == ([], [])

"""What `contit-mcp check` makes of what answers, or does not, at Contit's address: real sockets, in this process."""

from pathlib import Path

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from contit_mcp.cli.checks import Finding, check_contit, explain_connection, proxy_for
from contit_mcp.config.sources import load_settings
from contit_mcp.sandbox.options import parse_fault
from tests.children import on_port, sandbox_on_port
from tests.contit.raw_server import Connection, raw_server, unused_port
from tests.contit.test_tls_and_proxies import make_authority

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies the machine has."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def check(url: str, **environment: str) -> tuple[Finding, Finding]:
    """What is found of Contit, and of the credential."""
    given = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key"} | environment
    with anyio.fail_after(20):
        contit, credential = await check_contit(load_settings(environment=given))
    assert contit.subject == f"Contit at {url}"
    assert credential.subject == "Credential"
    for finding in (contit, credential):
        assert (finding.hint is None) == (finding.good is not False), finding
        assert "\n" not in f"{finding.verdict}{finding.hint}"
        assert "sandbox-key" not in f"{finding}"
    return contit, credential


async def test_contit_and_its_credential_are_good_and_nothing_is_started() -> None:
    """401 without it and 404 with it, about a run that does not exist (documented statuses)."""
    async with sandbox_on_port() as (url, sandbox):
        contit, credential = await check(url)
    assert contit.good is credential.good is True
    assert [(request.endpoint, request.status) for request in sandbox.requests] == [("status", 401), ("status", 404)]
    assert sandbox.runs == []


@pytest.mark.parametrize(
    ("environment", "said", "hint"),
    [
        ({"CONTIT_API_KEY": "wrong"}, "refuses it (401)", "mistyped, expired, revoked"),
        ({"CONTIT_API_KEY": "sandbox-forbidden"}, "may not use the AI assistant (403)", "ReadAccess"),
        ({"CONTIT_API_KEY": ""}, "No Contit credential is configured.", "set CONTIT_API_KEY"),
        ({"CONTIT_API_KEY": "", "CONTIT_API_KEY_FILE": "/no/such/file"}, "cannot be read", "/no/such/file"),
    ],
)
async def test_a_credential_that_does_not_work_is_told_from_one_that_may_not(
    environment: dict[str, str], said: str, hint: str
) -> None:
    async with sandbox_on_port() as (url, _):
        contit, credential = await check(url, **environment)
    assert contit.good is True
    assert credential.good is False
    assert said in credential.verdict
    assert hint in str(credential.hint)


@pytest.mark.parametrize(("secret", "good"), [("sandbox-secret", True), ("wrong", False)])
async def test_client_credentials_are_tried_at_the_token_endpoint(secret: str, good: bool) -> None:
    """OAuth2 from the token URL that is configured (documented)."""
    async with sandbox_on_port() as (url, sandbox):
        token = {"CONTIT_TOKEN_URL": f"{url}/connect/token", "CONTIT_CLIENT_ID": "sandbox-client"}
        _, credential = await check(url, CONTIT_API_KEY="", CONTIT_CLIENT_SECRET=secret, **token)
    assert credential.good is good
    assert "OAuth2 client, set (hidden)" in credential.verdict
    assert "token" in [request.endpoint for request in sandbox.requests]


@pytest.mark.parametrize(
    ("fault", "said"),
    [("500 on=status", "fault (HTTP 500)"), ("429 on=status", "too many requests"), ("418 on=status", "HTTP 418")],
)
@pytest.mark.parametrize("after", [0, 1])
async def test_another_status_is_said_as_it_is(fault: str, said: str, after: int) -> None:
    async with sandbox_on_port() as (url, sandbox):
        sandbox.add_fault(parse_fault(f"{fault} after={after}"))
        findings = await check(url)
    assert findings[after].good is False
    assert said in findings[after].verdict


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: HTMLResponse("<h1>Not found</h1>", 404), "answers 404 to every request"),
        (lambda: JSONResponse({}, 404), "answers 404 to every request"),
        (lambda: HTMLResponse("<h1>Welcome</h1>"), "a web page answers (200)"),
        (lambda: JSONResponse({"status": "completed"}), "says yes (200) to whatever it is asked"),
        (lambda: RedirectResponse("https://elsewhere.example/"), "redirect (307)"),
        (lambda: Response(status_code=403), "refuses even to look at a credential"),
        (lambda: Response(status_code=407), "a proxy wants a user and password"),
    ],
)
async def test_an_address_that_is_not_contits_is_told_and_never_shown_the_credential(answer: object, said: str) -> None:
    seen: list[Request] = []

    async def reply(request: Request) -> Response:
        seen.append(request)
        response: Response = answer()  # type: ignore[operator]
        return response

    async with on_port(Starlette(routes=[Route("/{path:path}", reply)])) as url:
        contit, credential = await check(url)
    assert contit.good is False
    assert said in contit.verdict
    assert credential.good is None
    assert "not tried" in credential.verdict
    assert len(seen) == 1
    assert not {"x-api-key", "authorization"} & set(seen[0].headers)


async def test_something_that_knows_a_made_up_run_is_not_contit() -> None:
    async def reply(request: Request) -> Response:
        return JSONResponse({"status": "completed"}, 200 if "x-api-key" in request.headers else 401)

    async with on_port(Starlette(routes=[Route("/{path:path}", reply)])) as url:
        _, credential = await check(url)
    assert credential.good is False
    assert "something else answers" in credential.verdict


# --- The way there -----------------------------------------------------------------------------------------------


async def test_nobody_listening_and_a_name_that_does_not_resolve_are_told_apart() -> None:
    contit, _ = await check(f"http://127.0.0.1:{await unused_port()}")
    assert "refused the connection: nothing listens there" in contit.verdict
    contit, _ = await check("https://no-such-host.invalid")
    assert "the name of no-such-host.invalid does not resolve" in contit.verdict


async def test_a_certificate_of_an_unknown_authority_names_the_setting(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)

    async def answer(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b"{}", status="401 Unauthorized")

    async with raw_server(answer, tls=authority.server) as server:
        url = f"https://127.0.0.1:{server.port}"
        contit, _ = await check(url)
        assert "certificate" in contit.verdict
        assert "CONTIT_CA_FILE" in str(contit.hint)
        trusted, _ = await check(url, CONTIT_CA_FILE=str(authority.file))
        assert trusted.good is True
    contit, _ = await check("https://contit.invalid", CONTIT_CA_FILE="/no/such.pem")
    assert "The CA file /no/such.pem cannot be used" in contit.verdict


async def test_something_that_speaks_no_tls_or_no_http_is_told(tmp_path: Path) -> None:
    async def gibberish(connection: Connection) -> None:
        await connection.stream.receive()
        await connection.send(b"220 mail.example ESMTP\r\n")

    async with raw_server(gibberish) as server:
        contit, _ = await check(f"https://127.0.0.1:{server.port}")
        assert "does not speak TLS" in contit.verdict
        contit, _ = await check(f"http://127.0.0.1:{server.port}")
        assert "does not speak HTTP" in contit.verdict


@pytest.mark.parametrize(
    ("status", "said"),
    [("403 Forbidden", "refused to connect to contit.test"), ("407 Auth Required", "wants a user and password")],
)
async def test_a_proxy_that_refuses_is_named_without_its_password(
    status: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b"<h1>blocked</h1>", status=status)

    async with raw_server(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        contit, _ = await check("https://contit.test")
    assert f"the proxy http://127.0.0.1:{proxy.port} {said}" in contit.verdict
    assert "HTTPS_PROXY" in str(contit.hint)
    assert "hunter2" not in str(contit)


async def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    port = await unused_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{port}")
    contit, _ = await check("https://contit.test")
    assert f"the proxy http://127.0.0.1:{port} refused the connection" in contit.verdict
    assert "hunter2" not in str(contit)
    assert proxy_for("http://127.0.0.1:8787") is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectTimeout(""), "did not take the connection in time"),
        (httpx.ReadTimeout(""), "did not answer in time"),
        (httpx.ConnectError(""), "could not be reached"),
        (httpx.ReadError(""), "broke"),
    ],
)
def test_what_takes_too_long_or_breaks_is_said_as_such(error: Exception, said: str) -> None:
    verdict, hint = explain_connection(error, "https://contit.test")
    assert said in verdict
    assert "contit.test" in verdict
    assert "CONTIT_BASE_URL" in hint


def test_a_network_without_a_route_is_said_as_such() -> None:
    import errno  # noqa: PLC0415 - one test's business

    error = httpx.ConnectError("")
    error.__cause__ = OSError("all failed")
    error.__cause__.__cause__ = ExceptionGroup("several", [OSError("first"), OSError(errno.ENETUNREACH, "no route")])
    assert "there is no route to contit.test" in explain_connection(error, "https://contit.test")[0]

"""`contit-mcp check`: the settings, the way to Contit, its credential, the store, and the callers of an HTTP server."""

import json
import os
from pathlib import Path

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contit_mcp.cli.check import check_callers, check_store
from contit_mcp.cli.findings import Finding, check_contit, explain_connection, proxy_for
from contit_mcp.config.sources import load_settings
from contit_mcp.runs.sqlite import FILE_NAME
from tests.children import Contit, free_port, in_thread
from tests.cli.command_line import NOWHERE, run_here, upstream
from tests.contit.raw_server import Connection, raw_server
from tests.contit.test_tls_and_proxies import make_authority

pytestmark = pytest.mark.anyio

TOKENS = f"alice:{'a' * 32},bob:{'b' * 32}"


# --- the command


def test_when_all_is_well_it_says_so_line_by_line(tmp_path: Path, state: Path, sandbox: Contit) -> None:
    """No run is started. The command line wins over the environment, and that over the settings file."""
    key, settings = tmp_path / "key", tmp_path / "contit-mcp.toml"
    key.write_text("sandbox-key\n", encoding="utf-8")
    settings.write_text(f'base_url = "{sandbox.url}"\napi_key_file = "{key}"\n', encoding="utf-8")
    checked = run_here("check", "--config", str(settings))
    assert checked.stdout.splitlines() == [
        "     Proxy: none",
        "     Certificate authorities: the operating system's",
        f"ok   Runs are remembered in: {state / FILE_NAME}",
        f"ok   Contit at {sandbox.url}: it answers, and wants a credential",
        f"ok   Credential: API key, in the file {key}; it is good",
    ]
    assert (checked.returncode, checked.stderr, state.exists()) == (0, "", False)
    requests = [(request.endpoint, request.status) for request in sandbox.record.requests]
    assert (requests, sandbox.record.runs) == ([("status", 401), ("status", 404)], [])
    assert f"Contit at {NOWHERE}" in run_here("check", "--config", str(settings), CONTIT_BASE_URL=NOWHERE).stdout
    again = run_here("check", "--config", str(settings), "--base-url", sandbox.url, CONTIT_BASE_URL=NOWHERE)
    assert again.returncode == 0


def test_a_failure_has_a_hint_on_its_own_line_and_a_proxy_is_named_without_its_password() -> None:
    proxy = "http://user:PASSWORD-MARKER@127.0.0.1:9"
    checked = run_here("check", CONTIT_BASE_URL="https://contit.example", HTTPS_PROXY=proxy)
    lines = checked.stdout.splitlines()
    assert (checked.returncode, lines[0]) == (1, "     Proxy: http://127.0.0.1:9")
    assert lines[-4].startswith("FAIL Contit at https://contit.example: ")
    assert lines[-3].startswith("     hint: Check HTTPS_PROXY")
    assert lines[-2] == "FAIL Credential: No Contit credential is configured."
    assert lines[-1].startswith("     hint: Run contit-mcp install HOST")
    assert "MARKER" not in checked.stdout + checked.stderr


def test_json_holds_every_finding_or_that_the_settings_cannot_be_used(sandbox: Contit) -> None:
    checked = run_here("check", "--json", **upstream(sandbox.url, CONTIT_API_KEY="wrong-key"))
    found = json.loads(checked.stdout)
    assert (checked.returncode, found["ok"]) == (1, False)
    assert {frozenset(finding) for finding in found["findings"]} == {frozenset({"subject", "verdict", "good", "hint"})}
    assert [finding["good"] for finding in found["findings"]] == [None, None, True, True, False]
    assert "wrong-key" not in checked.stdout
    unusable = run_here("check", "--json", "--config", "no-such-file.toml")
    (finding,) = json.loads(unusable.stdout)["findings"]
    assert (unusable.returncode, finding["subject"], "cannot be read" in finding["verdict"]) == (1, "Settings", True)


# --- the store


@pytest.mark.parametrize(
    ("given", "good", "verdict"),
    [
        ({"CONTIT_MCP_STORE": "memory"}, True, "memory"),
        ({"CONTIT_MCP_STORE": "sqlite"}, True, f"TMP/state/{FILE_NAME}"),
        ({"CONTIT_MCP_STORE": "sqlite:TMP/runs.db"}, True, "TMP/runs.db"),
        ({"CONTIT_MCP_STORE": "sqlite:TMP/new/folder/runs.db"}, True, "TMP/new/folder/runs.db"),
        ({"CONTIT_MCP_STORE": "sqlite:TMP/file/runs.db"}, False, "Its folder cannot be written: Not a directory"),
        ({"CONTIT_MCP_STORE": "sqlite:TMP"}, False, "TMP. "),
        ({"CONTIT_MCP_STORE": "sqlite:TMP/file"}, True, "TMP/file"),
        ({"CONTIT_MCP_STORE": "redis://user:hunter2@127.0.0.1:9/0"}, False, "redis://127.0.0.1:9. The Redis store"),
        ({"CONTIT_MCP_STATE_DIR": "TMP/file/state"}, False, "Its folder cannot be written"),
        ({"CONTIT_MCP_STORE_FILE": "TMP/missing"}, False, "cannot be read"),
    ],
)
async def test_the_store_is_named_and_tried_and_no_file_is_left_behind(
    given: dict[str, str], good: bool, verdict: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch(mode=0o600)
    given = {"CONTIT_MCP_STATE_DIR": "TMP/state"} | given
    settings = {name: value.replace("TMP", str(tmp_path)) for name, value in given.items()}
    with anyio.fail_after(30):
        finding = await check_store(load_settings(environment=settings))
    assert finding.good is good
    assert verdict.replace("TMP", str(tmp_path)) in finding.verdict
    assert (finding.hint is not None) == (good is False)
    assert "hunter2" not in str(finding)
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - a path of pathlib may block, ruff says


# --- the callers of the HTTP server


@pytest.mark.parametrize(
    ("given", "good", "verdict"),
    [
        ({"CONTIT_MCP_TOKENS": TOKENS}, True, "2 by name"),
        ({"CONTIT_MCP_TOKENS_FILE": "TMP/good"}, True, "2 by name"),
        ({"CONTIT_MCP_TOKENS_FILE": "TMP/missing"}, False, "TMP/missing"),
        ({"CONTIT_MCP_TOKENS_FILE": "TMP/empty"}, False, "TMP/empty"),
        ({"CONTIT_MCP_TOKENS_FILE": "TMP/bad"}, False, "TMP/bad"),
        ({}, False, "no tokens"),
        ({"CONTIT_MCP_AUTH": "jwt"}, False, "CONTIT_MCP_JWT_ISSUER"),
    ],
)
async def test_tokens_that_the_http_server_cannot_use_are_a_failure(
    given: dict[str, str], good: bool, verdict: str, tmp_path: Path
) -> None:
    """No finding shows a token. A token file can be checked in mode jwt only."""
    for name, text in (("good", TOKENS), ("empty", ""), ("bad", f"alice {'a' * 32}")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    given = {"CONTIT_MCP_AUTH": "token", **given}
    settings = load_settings(environment={name: value.replace("TMP", str(tmp_path)) for name, value in given.items()})
    (finding,) = await check_callers(settings)
    assert finding.good is good
    assert verdict.replace("TMP", str(tmp_path)) in str(finding)
    assert (finding.hint is not None) == (good is False)
    assert "a" * 32 not in str(finding)
    if settings.auth == "token":
        (finding,) = await check_callers(settings, tmp_path / "token")
        assert (finding.good, "CONTIT_MCP_AUTH is token" in finding.verdict) == (False, True)


# --- Contit and its credential


async def check(url: str, **environment: str) -> tuple[Finding, Finding]:
    """Return the findings about Contit and about the credential."""
    given = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key"} | environment
    with anyio.fail_after(20):
        contit, credential = await check_contit(load_settings(environment=given))
    assert (contit.subject, credential.subject) == (f"Contit at {url}", "Credential")
    for finding in (contit, credential):
        assert (finding.hint is None) == (finding.good is not False), finding
        assert "\n" not in f"{finding.verdict}{finding.hint}"
        assert "sandbox-key" not in f"{finding}"
    return contit, credential


NO_KEY = {"CONTIT_API_KEY": ""}
OAUTH = NO_KEY | {"CONTIT_TOKEN_URL": "URL/connect/token", "CONTIT_CLIENT_ID": "sandbox-client"}
CLIENT = "OAuth2 client, in CONTIT_CLIENT_SECRET (hidden)"


@pytest.mark.parametrize(
    ("environment", "good", "said", "hint"),
    [
        ({"CONTIT_API_KEY": "wrong"}, False, "refuses it (401)", "Correct it there, or: contit-mcp install"),
        (NO_KEY | {"CONTIT_ACCESS_TOKEN": "x"}, False, "in CONTIT_ACCESS_TOKEN (hidden); Contit refuses", ""),
        ({"CONTIT_API_KEY": "sandbox-forbidden"}, False, "may not use the AI assistant (403)", "ReadAccess"),
        (NO_KEY, False, "No Contit credential is configured.", "set CONTIT_API_KEY"),
        (NO_KEY | {"CONTIT_API_KEY_FILE": "/no/file"}, False, "/no/file. The file that", "--new-key"),
        (NO_KEY | {"CONTIT_MCP_AUTH": "caller"}, None, "each caller sends its own", ""),
        (OAUTH | {"CONTIT_CLIENT_SECRET": "sandbox-secret"}, True, f"{CLIENT}; it is good", ""),
        (OAUTH | {"CONTIT_CLIENT_SECRET": "wrong"}, False, CLIENT, ""),
    ],
)
async def test_each_state_of_the_credential_has_its_own_finding_and_hint(
    environment: dict[str, str], good: bool | None, said: str, hint: str, sandbox: Contit
) -> None:
    given = {name: value.replace("URL", sandbox.url) for name, value in environment.items()}
    contit, credential = await check(sandbox.url, **given)
    assert (contit.good, credential.good) == (True, good)
    assert said in credential.verdict
    assert hint in str(credential.hint)


@pytest.mark.parametrize(
    ("without_key", "with_key", "said"),
    [
        (404, 404, "answers 404 to every request"),
        (403, 403, "refuses even to look at a credential"),
        (200, 200, "HTTP 200, which Contit does not give"),
        (307, 307, "HTTP 307, which Contit does not give"),
        (401, 200, "HTTP 200, which Contit does not give"),
        *((status, status, f"HTTP {status}") for status in (418, 429, 500)),
        *((401, status, f"HTTP {status}") for status in (418, 429, 500)),
    ],
)
async def test_a_server_that_answers_unlike_contit_is_reported(without_key: int, with_key: int, said: str) -> None:
    """It gets the credential only if it has asked for one."""
    received: list[Request] = []

    async def reply(request: Request) -> Response:
        received.append(request)
        status = with_key if "x-api-key" in request.headers else without_key
        return Response(status_code=status, headers={"Location": "https://elsewhere.example/"})

    with in_thread(Starlette(routes=[Route("/{path:path}", reply)])) as url:
        contit, credential = await check(url)
    wrong = credential if without_key == 401 else contit
    assert (wrong.good, said in wrong.verdict) == (False, True)
    if without_key != 401:
        assert (credential.good, "not tried" in credential.verdict, len(received)) == (None, True, 1)
        assert not {"x-api-key", "authorization"} & set(received[0].headers)


# --- the way there


async def test_each_reason_why_contit_cannot_be_reached_has_its_own_finding(tmp_path: Path) -> None:
    """A closed port, an unknown name, an unknown certificate authority, a server without TLS or HTTP."""
    contit, _ = await check(f"http://127.0.0.1:{free_port()}")
    assert "refused the connection: nothing listens there" in contit.verdict
    contit, _ = await check("https://no-such-host.invalid")
    assert "the name of no-such-host.invalid does not resolve" in contit.verdict
    authority = make_authority(tmp_path)

    async def answer(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b"{}", status="401 Unauthorized")

    async with raw_server(answer, tls=authority.server) as server:
        url = f"https://127.0.0.1:{server.port}"
        contit, _ = await check(url)
        assert ("certificate" in contit.verdict, "CONTIT_CA_FILE" in str(contit.hint)) == (True, True)
        assert (await check(url, CONTIT_CA_FILE=str(authority.file)))[0].good is True
    contit, _ = await check("https://contit.invalid", CONTIT_CA_FILE="/no/such.pem")
    assert "The CA file /no/such.pem cannot be used" in contit.verdict

    async def gibberish(connection: Connection) -> None:
        await connection.stream.receive()
        await connection.stream.send(b"220 mail.example ESMTP\r\n")

    async with raw_server(gibberish) as server:
        for scheme, language in (("https", "TLS"), ("http", "HTTP")):
            contit, _ = await check(f"{scheme}://127.0.0.1:{server.port}")
            assert f"does not speak {language}" in contit.verdict


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("403 Forbidden", "refused to connect to contit.test"),
        ("407 Auth Required", "wants a user and password"),
        (None, "refused the connection"),
    ],
)
async def test_a_proxy_that_refuses_is_named_without_its_password(
    status: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b"<h1>blocked</h1>", status=str(status))

    async with raw_server(refuse) as proxy:
        port = proxy.port if status else free_port()
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{port}")
        contit, _ = await check("https://contit.test")
    assert f"the proxy http://127.0.0.1:{port} {said}" in contit.verdict
    assert "HTTPS_PROXY" in str(contit.hint)
    assert "hunter2" not in str(contit)
    assert proxy_for("http://127.0.0.1:8787") is None


def test_a_timeout_and_a_broken_connection_are_explained() -> None:
    """The causes of an exception can form a circle."""
    for error, said in (
        (httpx.ReadTimeout(""), "did not answer in time"),
        (httpx.ConnectError(""), "could not be reached"),
        (httpx.ReadError(""), "broke"),
    ):
        error.__cause__ = ExceptionGroup("several attempts", [OSError("first"), error])
        verdict, hint = explain_connection(error, "https://contit.test")
        assert (said in verdict, "contit.test" in verdict, "CONTIT_BASE_URL" in hint) == (True, True, True)

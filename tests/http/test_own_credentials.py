"""Mode `caller`: each request brings its own Contit credential, and the server's own serves nobody."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.errors import ConfigurationError
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.server.context import AppContext
from contit_mcp.server.request_state import Caller, Sharing
from contit_mcp.server.services import MOST_CREDENTIALS
from tests.children import INITIALIZE, Contit, Served, contit, rpc
from tests.http.issuer import bearer

ADA, BOB, PAT, SERVERS_OWN = (
    "ada-key-0123456789",
    "bob-key-0123456789",
    "ctpat_0123456789abcdef",
    "servers-own-key-0123",
)
GOOD = {"X-Api-Key": ADA}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """A Contit that knows the callers' credentials, and the server's."""
    with contit(SandboxOptions(run_seconds=0.05, api_keys=frozenset({ADA, BOB, PAT, SERVERS_OWN}))) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Contit) -> Iterator[Served]:
    """A server that has a credential of its own all the same."""
    environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": SERVERS_OWN, "CONTIT_MCP_AUTH": "caller"}
    with Served(environment) as server:
        yield server


@pytest.fixture(autouse=True)
def _never_the_servers_own(server: Served, upstream: Contit) -> Iterator[None]:
    """Whatever a test does, no request to Contit carries it."""
    yield
    assert SERVERS_OWN not in "".join(upstream.keys)
    server.assert_unharmed()


@pytest.mark.parametrize(("headers", "sent"), [(GOOD, ADA), (bearer(PAT), f"Bearer {PAT}"), ({"x-api-key": BOB}, BOB)])
def test_contit_is_asked_with_the_callers_own_credential(
    server: Served, upstream: Contit, headers: dict[str, str], sent: str
) -> None:
    """As it came (documented: both headers, for keys and personal access tokens)."""
    upstream.keys.clear()
    assert server.call("contit_ask", {"prompt": "How many pages?"}, **headers)["isError"] is False
    assert set(upstream.keys) == {sent}


@pytest.mark.parametrize("forms", [("key", "bearer"), ("bearer", "key"), ("key", "bearer", "key")])
def test_a_secret_that_was_sent_in_one_form_is_not_sent_in_it_for_another_form(
    server: Served, upstream: Contit, forms: tuple[str, ...]
) -> None:
    """The form is a part of the caller: a key sent in the wrong header first does not lock the right one out."""
    headers = {"key": ({"X-Api-Key": PAT}, PAT), "bearer": (bearer(PAT), f"Bearer {PAT}")}
    for form in forms:
        upstream.keys.clear()
        given, sent = headers[form]
        assert server.call("contit_ask", {"prompt": f"How many pages, {forms}?"}, **given)["isError"] is False
        assert set(upstream.keys) == {sent}


NONE_OR_OTHER: dict[str, dict[str, str]] = {
    "none": {},
    "an empty key": {"X-Api-Key": ""},
    "a key in two parts": {"X-Api-Key": "ada key"},
    "a very long key": {"X-Api-Key": "k" * 9_000},
    "a bearer token that is none of Contit's": bearer("eyJhbGciOi.eyJzdWIi.c2ln"),
    "a key as bearer token": bearer(ADA),
    "another scheme": {"Authorization": f"Basic {ADA}"},
    "a key in a cookie": {"Cookie": f"X-Api-Key={ADA}"},
}


@pytest.mark.parametrize("case", NONE_OR_OTHER)
@pytest.mark.parametrize("tool", ["contit_ask", "contit_status"])
def test_without_a_credential_there_is_no_call(server: Served, upstream: Contit, case: str, tool: str) -> None:
    """Fail closed: Contit is not asked at all."""
    upstream.keys.clear()
    arguments = {"prompt": "How many?"} if tool == "contit_ask" else {"thread_id": "thread_x", "run_id": "run_x"}
    answer = server.post(rpc("tools/call", {"name": tool, "arguments": arguments}), **NONE_OR_OTHER[case])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "X-Api-Key" in answer.json()["error_description"]
    assert not upstream.keys


@pytest.mark.parametrize(
    "lines",
    [
        f"X-Api-Key: {ADA}\r\nX-Api-Key: {ADA}\r\n",
        f"X-Api-Key: {ADA}\r\nAuthorization: Bearer {PAT}\r\n",
        f"X-Api-Key: {ADA}\r\nAuthorization: Basic YTpi\r\n",
        f"Authorization: Bearer {PAT}\r\nAuthorization: Bearer {PAT}\r\n",
    ],
)
def test_two_credentials_are_one_too_many(server: Served, upstream: Contit, lines: str) -> None:
    """Which one counts would be a guess."""
    upstream.keys.clear()
    status, _, body = server.raw(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{lines}\r\n".encode())
    assert status == 400
    assert json.loads(body)["error"] == "two_credentials"
    assert not upstream.keys


def test_a_wrong_key_is_contits_to_refuse(server: Served) -> None:
    """As a tool's error, which the model can tell its user."""
    result = server.call("contit_ask", {"prompt": "How many?"}, X_Api_Key="wrong-key-0123456789")
    assert result["isError"]
    assert "credential" in result["structuredContent"]["error"].lower()
    assert "wrong-key" not in json.dumps(result)


def test_callers_with_other_credentials_join_no_run_of_each_other(server: Served, upstream: Contit) -> None:
    """The credential is the owner."""
    before = len(upstream.record.runs)
    question = {"prompt": "List the newest products"}
    runs = [
        server.call("contit_start", question, **who)["structuredContent"]["run_id"]
        for who in (GOOD, {"X-Api-Key": BOB}, bearer(PAT))
    ]
    assert len(set(runs)) == 3
    assert len(upstream.record.runs) - before == 3


def test_without_a_credential_of_its_own_the_server_starts(upstream: Contit) -> None:
    """It needs none."""
    with Served({"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_AUTH": "caller"}) as server:
        assert server.post(INITIALIZE).status_code == 401
        assert server.call("contit_ask", {"prompt": "How many?"}, **GOOD)["isError"] is False


def test_made_up_credentials_hold_no_connections(server: Served) -> None:
    """Anybody can make them up, and common systems allow a process 1,024 open files."""
    files = Path(f"/proc/{server.process.pid}/fd")
    if not files.is_dir():
        pytest.skip(reason="needs /proc")
    for number in range(150):
        status = {"thread_id": "thread_x", "run_id": "run_x"}
        assert server.call("contit_status", status, X_Api_Key=f"made-up-{number:012}")["isError"]
    assert len(list(files.iterdir())) < 60


@pytest.mark.anyio
async def test_made_up_credentials_push_each_other_out(upstream: Contit) -> None:
    """The one unused for longest first, and who comes back is known by the same name."""
    configured = load_settings(environment={"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_STORE": "memory"})

    def caller(number: int) -> Caller:
        return Caller(credential=APIKeyAuth(SecretValue("X-Api-Key", value=f"made-up-{number:012}")))

    async with AppContext(configured, sharing=Sharing.BY_CREDENTIAL) as context:
        first, early = context.tenant(caller(0)), context.tenant(caller(1)).assistant
        for number in range(2, MOST_CREDENTIALS + 300):
            context.tenant(caller(number))
            assert context.tenant(caller(0)).assistant is first.assistant
        second = context.tenant(caller(1))
        assert second.owner != first.owner
        assert second.assistant is not early
        with pytest.raises(ConfigurationError):
            context.tenant(Caller(principal="ada"))


def test_no_credential_is_ever_logged(server: Served) -> None:
    """Nor its fingerprint's key, nor the wrong ones."""
    for headers in (GOOD, bearer(PAT), {"X-Api-Key": "wrong-key-0123456789"}):
        server.call("contit_status", {"thread_id": "thread_x", "run_id": "run_x"}, **headers)
    server.post(INITIALIZE, url=f"{server.url}?key={ADA}", **GOOD)
    for secret in (ADA, BOB, PAT, SERVERS_OWN, "wrong-key", "made-up-"):
        assert secret not in server.stderr
        assert secret[:9] not in server.stderr

"""Mode `caller`: each request brings its own Contit credential, and the server's own is never used."""

import json
from collections.abc import Iterator

import pytest

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.errors import ConfigurationError
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.server.context import AppContext, Caller
from contit_mcp.server.services import MOST_CREDENTIALS
from tests.children import Contit, Served, contit, rpc, samples
from tests.http.issuer import bearer

ADA, BOB, PAT = "ada-key-0123456789", "bob-key-0123456789", "ctpat_0123456789abcdef"
SERVERS_OWN = "servers-own-key-0123"
SETTINGS = {"CONTIT_API_KEY": SERVERS_OWN, "CONTIT_MCP_AUTH": "caller"}
IDS = {"thread_id": "thread_x", "run_id": "run_x"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """Yield a Contit that accepts the callers' credentials and the server's."""
    with contit(SandboxOptions(run_seconds=0.05, api_keys=frozenset({ADA, BOB, PAT, SERVERS_OWN}))) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
def _no_request_has_the_servers_own_key(server: Served, upstream: Contit) -> Iterator[None]:
    upstream.keys.clear()
    yield
    assert SERVERS_OWN not in "".join(upstream.keys)
    server.assert_unharmed()
    for secret in (ADA, BOB, PAT, SERVERS_OWN, "made-up-"):
        assert secret[:9] not in server.stderr, "neither a credential nor a wrong one is ever logged"


# Headers, and what Contit gets. An owner is a credential in one form: PAT as a bearer token and as a key is two owners.
FORMS: list[tuple[dict[str, str], str]] = [
    ({"X-Api-Key": ADA}, ADA), ({"x-api-key": BOB}, BOB), (bearer(PAT), f"Bearer {PAT}"), ({"X-Api-Key": PAT}, PAT),
]  # fmt: skip


def test_contit_gets_the_callers_own_credential_in_its_own_form(server: Served, upstream: Contit) -> None:
    """Each is another owner: the same question starts another run, except for the same credential again."""
    runs: set[str] = set()
    for headers, sent in FORMS:
        upstream.keys.clear()
        for _ in range(2):
            started = server.call("contit_start", {"prompt": "How many pages?"}, **headers)["structuredContent"]
            runs.add(started["run_id"])
        ids = {name: started[name] for name in IDS}
        result = server.call("contit_response", ids | {"wait_seconds": 5}, **headers)
        assert result["structuredContent"]["status"] == "completed"
        assert set(upstream.keys) == {sent}
    assert len(runs) == len(FORMS)


NONE_OR_OTHER: list[dict[str, str]] = [
    {}, {"X-Api-Key": ""}, {"X-Api-Key": "ada key"}, {"X-Api-Key": "k" * 9_000}, {"Cookie": f"X-Api-Key={ADA}"},
    {"Authorization": f"Basic {ADA}"}, bearer(ADA), bearer("eyJhbGciOi.eyJzdWIi.c2ln"),
]  # fmt: skip


@pytest.mark.parametrize("headers", NONE_OR_OTHER)
def test_without_a_credential_there_is_no_call(server: Served, upstream: Contit, headers: dict[str, str]) -> None:
    for tool, arguments in (("contit_ask", {"prompt": "How many?"}), ("contit_status", IDS)):
        answer = server.post(rpc("tools/call", {"name": tool, "arguments": arguments}), **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "X-Api-Key" in answer.json()["error_description"]
    assert not upstream.keys


TWO = [
    f"X-Api-Key: {ADA}\r\nX-Api-Key: {ADA}",
    f"X-Api-Key: {ADA}\r\nAuthorization: Bearer {PAT}",
    f"X-Api-Key: {ADA}\r\nAuthorization: Basic YTpi",
    f"Authorization: Bearer {PAT}\r\nAuthorization: Bearer {PAT}",
]


@pytest.mark.parametrize("lines", TWO)
def test_two_credentials_are_one_too_many(server: Served, upstream: Contit, lines: str) -> None:
    head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{lines}\r\n\r\n"
    status, _, body = server.raw(head.encode())
    assert (status, json.loads(body)["error"]) == (400, "two_credentials")
    assert not upstream.keys


def test_a_key_that_contit_refuses_is_an_error_of_the_tool_and_holds_no_connection(server: Served) -> None:
    """Common systems allow a process 1,024 open files."""
    for number in range(150):
        result = server.call("contit_ask", {"prompt": "How many?"}, X_Api_Key=f"made-up-{number:012}")
        assert result["isError"]
        assert "credential" in result["structuredContent"]["error"].lower()
        assert "made-up" not in json.dumps(result)
    assert samples(server.http.get(server.metrics_url).text)["process_open_fds"] < 60


@pytest.mark.anyio
async def test_the_kept_credentials_are_bounded_and_the_least_recently_used_goes_first(upstream: Contit) -> None:
    configured = load_settings(environment={"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_STORE": "memory"})

    def caller(number: int) -> Caller:
        return Caller(credential=APIKeyAuth(SecretValue("X-Api-Key", value=f"made-up-{number:012}")))

    async with AppContext(configured, auth="caller") as context:
        first, early = context.services().tenant(caller(0)), context.services().tenant(caller(1)).assistant
        for number in range(2, MOST_CREDENTIALS + 300):
            context.services().tenant(caller(number))
            assert context.services().tenant(caller(0)).assistant is first.assistant
        second = context.services().tenant(caller(1))
        assert second.owner != first.owner
        assert second.assistant is not early
        with pytest.raises(ConfigurationError):
            context.services().tenant(Caller(principal="ada"))

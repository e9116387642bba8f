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
from contit_mcp.server.context import AppContext, Caller
from contit_mcp.server.services import MOST_CREDENTIALS
from tests.children import Contit, Served, contit, rpc
from tests.http.issuer import bearer

ADA, BOB, PAT = "ada-key-0123456789", "bob-key-0123456789", "ctpat_0123456789abcdef"
SERVERS_OWN = "servers-own-key-0123"
SETTINGS = {"CONTIT_API_KEY": SERVERS_OWN, "CONTIT_MCP_AUTH": "caller"}
IDS = {"thread_id": "thread_x", "run_id": "run_x"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """A Contit that knows the callers' credentials, and the server's."""
    with contit(SandboxOptions(run_seconds=0.05, api_keys=frozenset({ADA, BOB, PAT, SERVERS_OWN}))) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
def _never_the_servers_own(server: Served, upstream: Contit) -> Iterator[None]:
    """Whatever a test does, no request to Contit carries it."""
    upstream.keys.clear()
    yield
    assert SERVERS_OWN not in "".join(upstream.keys)
    server.assert_unharmed()
    for secret in (ADA, BOB, PAT, SERVERS_OWN, "wrong-key", "made-up-"):
        assert secret[:9] not in server.stderr, "no credential is ever logged, nor a wrong one"


FORMS: list[tuple[dict[str, str], str]] = [
    ({"X-Api-Key": ADA}, ADA),
    ({"x-api-key": BOB}, BOB),
    (bearer(PAT), f"Bearer {PAT}"),
    # The form is a part of the caller: a key sent in the wrong header first does not lock the right one out.
    ({"X-Api-Key": PAT}, PAT),
    (bearer(PAT), f"Bearer {PAT}"),
]


def test_contit_is_asked_with_the_callers_own_credential_in_its_own_form(server: Served, upstream: Contit) -> None:
    """Each is another owner, so that the same question starts another run, except for the same credential again."""
    runs: set[str] = set()
    for headers, sent in FORMS:
        upstream.keys.clear()
        started = server.call("contit_start", {"prompt": "How many pages?"}, **headers)["structuredContent"]
        runs.add(started["run_id"])
        ids = {name: started[name] for name in IDS}
        result = server.call("contit_response", ids | {"wait_seconds": 5}, **headers)
        assert result["structuredContent"]["status"] == "completed"
        assert set(upstream.keys) == {sent}
    assert len(runs) >= 4


NONE_OR_OTHER: list[dict[str, str]] = [
    {}, {"X-Api-Key": ""}, {"X-Api-Key": "ada key"}, {"X-Api-Key": "k" * 9_000}, {"Cookie": f"X-Api-Key={ADA}"},
    {"Authorization": f"Basic {ADA}"}, bearer(ADA), bearer("eyJhbGciOi.eyJzdWIi.c2ln"),
]  # fmt: skip


@pytest.mark.parametrize("headers", NONE_OR_OTHER)
def test_without_a_credential_there_is_no_call(server: Served, upstream: Contit, headers: dict[str, str]) -> None:
    """Fail closed: Contit is not asked at all."""
    for tool, arguments in (("contit_ask", {"prompt": "How many?"}), ("contit_status", IDS)):
        answer = server.post(rpc("tools/call", {"name": tool, "arguments": arguments}), **headers)
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
    status, _, body = server.raw(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{lines}\r\n".encode())
    assert (status, json.loads(body)["error"]) == (400, "two_credentials")
    assert not upstream.keys


def test_a_wrong_key_is_contits_to_refuse(server: Served) -> None:
    """As a tool's error, which the model can tell its user."""
    result = server.call("contit_ask", {"prompt": "How many?"}, X_Api_Key="wrong-key-0123456789")
    assert result["isError"]
    assert "credential" in result["structuredContent"]["error"].lower()
    assert "wrong-key" not in json.dumps(result)


def test_made_up_credentials_hold_no_connections(server: Served) -> None:
    """Anybody can make them up, and common systems allow a process 1,024 open files."""
    files = Path(f"/proc/{server.process.pid}/fd")
    if not files.is_dir():
        pytest.skip(reason="needs /proc")
    for number in range(150):
        assert server.call("contit_status", IDS, X_Api_Key=f"made-up-{number:012}")["isError"]
    assert len(list(files.iterdir())) < 60


@pytest.mark.anyio
async def test_made_up_credentials_push_each_other_out(upstream: Contit) -> None:
    """The one unused for longest first, and a caller who comes back is known by the same name."""
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

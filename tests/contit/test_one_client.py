"""Every request goes through `httpx.AsyncClient.send`; with another transport under it, nothing else differs."""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth, ClientCredentialsAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import build_http_client
from tests.children import clean_environment
from tests.contit.raw_server import answers, anyio_backend, no_proxies, raw_server  # noqa: F401 - two are fixtures
from tests.contit.upstream import scripted, start
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio

NOTED = """
import sys
import httpx

send = httpx.AsyncClient.send

async def noted(self, request, **named):
    response = await send(self, request, **named)
    print("SENT", request.method, request.url.path.rsplit("/", 1)[1], type(self).__name__, file=sys.stderr, flush=True)
    return response

httpx.AsyncClient.send = noted
from contit_mcp.cli.main import main
main()
"""

BODY = {"threadId": "thread-1", "runId": "run-1", "status": "completed", "response": "Twelve.", "access_token": "token"}
ANSWER = answers(json.dumps(BODY).encode())


async def ask_a_child(*options: str, folder: Path, **environment: str) -> tuple[str, list[str]]:
    """Ask a `contit-mcp stdio` child; return the answer and what passed through its `httpx.AsyncClient.send`."""
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-c", NOTED, "stdio", *options],
        env=clean_environment(CONTIT_MCP_STATE_DIR=str(folder), **environment),
    )
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stderr:
        with anyio.fail_after(60):
            async with Client(stdio_client(parameters, errlog=stderr)) as client:
                result = await client.call_tool("contit_ask", {"prompt": "How many articles are drafts?"})
        stderr.seek(0)
        sent = [line.strip() for line in stderr if line.startswith("SENT ")]
    assert result.structured_content is not None
    return result.structured_content["response"], sent


async def test_a_stdio_child_sends_through_httpx_to_contit_and_to_the_sandbox(tmp_path: Path) -> None:
    async with raw_server(ANSWER) as server:
        text, sent = await ask_a_child(folder=tmp_path / "port", CONTIT_API_KEY="key", CONTIT_BASE_URL=server.url)
    assert text == "Twelve."
    assert len(server.requests) == len(sent) == 3
    answered, in_memory = await ask_a_child("--sandbox", folder=tmp_path / "sandbox")
    assert answered
    assert list(dict.fromkeys(in_memory)) == sent
    assert sent == ["SENT POST thread AsyncClient", "SENT GET status AsyncClient", "SENT GET response AsyncClient"]


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Return the first line, the headers and the body of a request from the wire."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return first, {name.lower(): value for name, value in headers.items()}, body


SECRET = SecretValue("CONTIT_API_KEY", value="secret")
CREDENTIALS: dict[str, Callable[[httpx.AsyncClient], httpx.Auth]] = {
    "key": lambda _: APIKeyAuth(SECRET),
    "token": lambda _: AccessTokenAuth(SECRET),
    "client": lambda http: ClientCredentialsAuth(
        "c", SECRET, token_url=f"{str(http.base_url).rstrip('/')}/token", http=http
    ),
}


@pytest.mark.parametrize("kind", CREDENTIALS)
async def test_the_transport_of_a_test_is_sent_what_the_network_is_sent(kind: str) -> None:
    async def use(http: httpx.AsyncClient) -> None:
        client = ContitClient(http, auth=CREDENTIALS[kind](http))
        await start(client, thread_id="thread/ü")
        await client.run_status("t", "r/../x")
        await client.thread_response("%2e")

    upstream = scripted(Reply(body=BODY))
    with anyio.fail_after(30):
        async with raw_server(ANSWER) as server:
            async with build_http_client(server.url) as http:
                await use(http)
            async with build_http_client(server.url, transport=upstream) as http:
                await use(http)
    assert len(server.requests) == (4 if kind == "client" else 3)
    assert [parts(request) for request in server.requests] == [
        (f"{sent.method} {sent.url.raw_path.decode()} HTTP/1.1", dict(sent.headers), sent.content)
        for sent in upstream.received
    ]

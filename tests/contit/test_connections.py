"""Connections on real sockets: all go through httpx's client, end in odd ways, are shared, and carry no other's answer."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import ClientCredentialsAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.children import Child, clean_environment, free_port, piped
from tests.contit.raw_server import Behaviour, Connection, answers, anyio_backend, no_proxies, raw_server, served  # noqa: F401 - two are fixtures
from tests.contit.upstream import ONCE, Kept, scripted, start
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(attempts=4, shortest=0.001, longest=0.001)
PATIENT = 10.0  # seconds, after which a test has hung
BEGUN = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"threadId": "thr'


async def close_at_once(connection: Connection) -> None:
    """Close without reading: it is unknown whether the request had left."""


async def reset_at_once(connection: Connection) -> None:
    connection.reset()


def after(sent: bytes, *, hangs: bool = False, resets: bool = False) -> Behaviour:
    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.stream.send(sent)
        await anyio.sleep(PATIENT if hangs else 0)
        if resets:
            connection.reset()

    return behave


SENT: dict[str, tuple[Behaviour, type[errors.APIError]]] = {
    "close at once": (close_at_once, errors.APIConnectionError),
    "reset at once": (reset_at_once, errors.APIConnectionError),
    "reset after the request": (after(b"", resets=True), errors.APIConnectionError),
    "close after the request": (after(b""), errors.APIConnectionError),
    "close in the head": (after(b"HTTP/1.1 200 OK\r\nContent-Le"), errors.APIConnectionError),
    "close in the body": (after(BEGUN), errors.APIConnectionError),
    "speak something else": (after(b"220 mail.example ESMTP\r\n\r\n"), errors.APIConnectionError),
    "broken gzip": (answers(b"?", headers="Content-Encoding: gzip\r\n"), errors.APIResponseValidationError),
    "hang": (after(b"", hangs=True), errors.APITimeoutError),
    "hang in the body": (after(BEGUN, hangs=True), errors.APITimeoutError),
}


@asynccontextmanager
async def real_client(port: int, *, scheme: str = "http") -> AsyncIterator[ContitClient]:
    policy = TransportPolicy(connect=5.0, read=0.1, write=5.0, pool=5.0)
    with anyio.fail_after(PATIENT):
        async with build_http_client(f"{scheme}://127.0.0.1:{port}", policy=policy) as http:
            yield ContitClient(http, retry=QUICK)


@pytest.mark.parametrize("name", SENT)
async def test_after_a_connection_that_broke_a_read_is_repeated_and_a_start_may_have_arrived(name: str) -> None:
    behave, kind = SENT[name]
    kept = Kept()
    async with raw_server(behave) as server, real_client(server.port) as client:
        with pytest.raises(errors.APIError) as caught:
            await start(client, keep=kept)
        assert type(caught.value) is kind
        assert getattr(caught.value, "may_have_arrived", True)
        assert (server.connections, kept.runs) == (1, [])
        with pytest.raises(errors.APIError) as caught:
            await client.thread_response("thread-1")
        assert type(caught.value) is kind
    assert server.connections == 5 or name == "broken gzip"  # which leaves the connection as it is


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_was_not_made_is_repeated_since_nothing_was_sent(scheme: str) -> None:
    """It is refused, or its TLS handshake is dropped."""
    stats = start_call_stats()
    async with raw_server(close_at_once) as server:
        port = server.port if scheme == "https" else free_port()
        async with real_client(port, scheme=scheme) as client:
            with pytest.raises(errors.APIConnectionError, match=r"could not be reached\.$") as caught:
                await start(client)
    assert stats.requests == 4
    assert not caught.value.may_have_arrived


RUNNING = b'{"status": "in_progress"}'


@pytest.mark.parametrize("address", ["ftp://contit.test", "https://127.1"])
async def test_an_address_that_cannot_be_asked_was_sent_nothing(address: str) -> None:
    async with build_http_client(address) as http:
        with pytest.raises(errors.APIConnectionError) as caught:
            await start(ContitClient(http, retry=ONCE))
    assert not caught.value.may_have_arrived


async def test_long_headers_of_a_gateway_do_not_hide_the_ids_of_a_run() -> None:
    answer = answers(b'{"threadId": "t", "runId": "r"}', headers=f"X-Long: {'x' * 20_000}\r\n")
    async with served(answer) as (_, client):
        assert (await start(client)).run_id == "r"


@pytest.mark.parametrize(("keep_alive", "connections"), [(20.0, 1), (0.05, 2)])
async def test_requests_share_a_connection_until_keep_alive_ends(keep_alive: float, connections: int) -> None:
    async with served(answers(RUNNING), TransportPolicy(keep_alive=keep_alive)) as (server, client):
        for _ in range(2):
            await client.run_status("t", "r")
            await anyio.sleep(0.1)
    assert (server.connections, len(server.requests)) == (connections, 2)


async def test_a_caller_that_leaves_frees_the_connection_and_its_place() -> None:
    closed = anyio.Event()

    async def behave(connection: Connection) -> None:
        await connection.request()
        if connection.server.connections == 1:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await connection.stream.receive()
            closed.set()
        else:
            await connection.answer(RUNNING)

    async with served(behave, TransportPolicy(connections=1, pool=1.0)) as (server, client):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.run_status, "t", "left")
            while not server.requests:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert (await client.run_status("t", "next")).word == "in_progress"
        await closed.wait()
    assert server.connections == 2


async def test_a_request_waits_for_a_free_connection_only_so_long() -> None:
    policy = TransportPolicy(pool=0.05, connections=1)
    async with served(after(b"", hangs=True), policy) as (server, client), anyio.create_task_group() as tasks:
        tasks.start_soon(client.run_status, "t", "first")
        while not server.requests:
            await anyio.sleep(0.01)
        with pytest.raises(errors.APITimeoutError) as caught:
            await client.run_status("t", "second")
        tasks.cancel_scope.cancel()
    assert not caught.value.may_have_arrived
    assert len(server.requests) == 1


async def test_a_connection_with_an_answer_that_nobody_asked_for_is_not_used_again() -> None:
    strayed = anyio.Event()

    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(RUNNING)
            if connection.server.connections == 1:
                await anyio.sleep(0.02)  # so that it does not come together with the one before
                await connection.answer(b'{"status": "completed"}')
                strayed.set()

    async with served(behave) as (server, client):
        for _ in range(3):
            assert (await client.run_status("t", "r")).word == "in_progress"
            await strayed.wait()
            await anyio.sleep(0.05)
    assert server.connections == 2


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
    """Return the answer of a `contit-mcp stdio` child, and the requests that its `httpx.AsyncClient.send` sent."""
    command = [sys.executable, "-c", NOTED, "stdio", *options]
    env = clean_environment(CONTIT_MCP_STATE_DIR=str(folder), **environment)
    with anyio.fail_after(60):
        async with piped(Child, command, env) as child:
            await child.initialize()
            result = await child.call(2, "contit_ask", {"prompt": "How many articles are drafts?"})
            await child.end()
    sent = [line for line in child.stderr.decode().splitlines() if line.startswith("SENT ")]
    return result["structuredContent"]["response"], sent


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
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return first, {name.lower(): value for name, value in headers.items()}, body


async def test_the_transport_of_a_test_is_sent_what_the_network_is_sent() -> None:
    secret = SecretValue("CONTIT_CLIENT_SECRET", value="secret")

    async def use(http: httpx.AsyncClient) -> None:
        auth = ClientCredentialsAuth("c", secret, token_url=str(http.base_url.join("/token")), http=http)
        client = ContitClient(http, auth=auth)
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
    assert len(server.requests) == 4
    assert [parts(request) for request in server.requests] == [
        (f"{sent.method} {sent.url.raw_path.decode()} HTTP/1.1", dict(sent.headers), sent.content)
        for sent in upstream.received
    ]

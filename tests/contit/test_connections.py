"""Connections on real sockets: how they break, are shared and freed, and that none carries another request's answer."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.children import Child, clean_environment, free_port, piped
from tests.contit.raw_server import Behaviour, Connection, answers, anyio_backend, no_proxies, raw_server, served  # noqa: F401 - two are fixtures
from tests.contit.upstream import ONCE, Kept, start

pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(attempts=4, shortest=0.001, longest=0.001)
IMPATIENT = TransportPolicy(connect=5.0, read=0.1, write=5.0, pool=5.0)
BEGUN = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"threadId": "thr'
RUNNING = b'{"status": "in_progress"}'


async def close_at_once(connection: Connection) -> None:
    """Close without reading: it is unknown whether the request had left."""


async def reset_at_once(connection: Connection) -> None:
    connection.reset()


def sends(data: bytes, *, hangs: bool = False, resets: bool = False) -> Behaviour:
    """Return a behaviour that reads a request, sends these bytes, and ends the connection."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.stream.send(data)
        await anyio.sleep(10 if hangs else 0)
        if resets:
            connection.reset()

    return behave


BROKEN: dict[str, tuple[Behaviour, type[errors.APIError]]] = {
    "close at once": (close_at_once, errors.APIConnectionError),
    "reset at once": (reset_at_once, errors.APIConnectionError),
    "reset after the request": (sends(b"", resets=True), errors.APIConnectionError),
    "close after the request": (sends(b""), errors.APIConnectionError),
    "close in the head": (sends(b"HTTP/1.1 200 OK\r\nContent-Le"), errors.APIConnectionError),
    "close in the body": (sends(BEGUN), errors.APIConnectionError),
    "speak something else": (sends(b"220 mail.example ESMTP\r\n\r\n"), errors.APIConnectionError),
    "broken gzip": (answers(b"?", headers="Content-Encoding: gzip\r\n"), errors.APIResponseValidationError),
    "hang": (sends(b"", hangs=True), errors.APITimeoutError),
    "hang in the body": (sends(BEGUN, hangs=True), errors.APITimeoutError),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_after_a_connection_that_broke_a_read_is_repeated_and_a_start_may_have_arrived(name: str) -> None:
    (behave, kind), kept = BROKEN[name], Kept()
    async with served(behave, IMPATIENT, QUICK) as (server, client):
        with pytest.raises(errors.APIError) as caught:
            await start(client, keep=kept)
        assert type(caught.value) is kind
        assert getattr(caught.value, "may_have_arrived", True)
        assert (server.connections, kept.runs) == (1, [])
        with pytest.raises(errors.APIError) as caught:
            await client.thread_response("thread-1")
        assert type(caught.value) is kind
    assert server.connections == 5 or name == "broken gzip"  # whose connection is used again


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_was_not_made_is_repeated_since_nothing_was_sent(scheme: str) -> None:
    """It is refused, or its TLS handshake is dropped."""
    stats = start_call_stats()

    def address(url: str) -> str:
        return url.replace("http:", "https:") if scheme == "https" else f"http://127.0.0.1:{free_port()}"

    async with served(close_at_once, IMPATIENT, QUICK, address) as (_, client):
        with pytest.raises(errors.APIConnectionError, match=r"could not be reached\.$") as caught:
            await start(client)
    assert stats.requests == 4
    assert not caught.value.may_have_arrived


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
    """Ids and headers are sent as httpx has them: aiohttp encodes nothing anew and adds no header."""
    async with served(answers(RUNNING), TransportPolicy(keep_alive=keep_alive)) as (server, client):
        for _ in range(2):
            await client.run_status("thread/ü", "%2e")
            await anyio.sleep(0.1)
    assert (server.connections, len(server.requests)) == (connections, 2)
    first, *headers = server.requests[0].decode().split("\r\n")
    assert first == "GET /ai-assistant/thread/thread%2F%C3%BC/run/%252e/status HTTP/1.1"
    names = sorted(header.partition(":")[0].lower() for header in headers if header)
    assert names == ["accept", "accept-encoding", "connection", "host", "user-agent"]


async def test_a_caller_that_leaves_closes_its_connection_and_frees_its_place_in_the_pool() -> None:
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


async def test_a_request_that_gets_no_connection_in_time_was_not_sent() -> None:
    policy = TransportPolicy(pool=0.05, connections=1)
    async with served(sends(b"", hangs=True), policy) as (server, client), anyio.create_task_group() as tasks:
        tasks.start_soon(client.run_status, "t", "first")
        while not server.requests:
            await anyio.sleep(0.01)
        with pytest.raises(errors.APITimeoutError) as caught:
            await client.run_status("t", "second")
        tasks.cancel_scope.cancel()
    assert not caught.value.may_have_arrived
    assert len(server.requests) == 1


async def test_a_connection_with_a_response_to_no_request_is_not_used_again() -> None:
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


CHILD = """
import sys, httpx
from contit_mcp.cli.main import main
send = httpx.AsyncClient.send
async def print_and_send(self, request, **named):
    print("SENT", request.method, request.url.path.rsplit("/", 1)[1], file=sys.stderr, flush=True)
    return await send(self, request, **named)
httpx.AsyncClient.send = print_and_send
main()
"""
BODY = {"threadId": "thread-1", "runId": "run-1", "status": "completed", "response": "Twelve."}


async def ask_a_child(*options: str, folder: Path, **environment: str) -> tuple[str, list[str]]:
    """Return the answer of a `contit-mcp stdio` child, and the requests that went through `httpx.AsyncClient.send`."""
    command = [sys.executable, "-c", CHILD, "stdio", *options]
    env = clean_environment(CONTIT_MCP_STATE_DIR=str(folder), **environment)
    with anyio.fail_after(60):
        async with piped(Child, command, env) as child:
            await child.initialize()
            result = await child.call(2, "contit_ask", {"prompt": "How many articles are drafts?"})
            await child.end()
    sent = [line for line in child.stderr.decode().splitlines() if line.startswith("SENT ")]
    return result["structuredContent"]["response"], sent


async def test_contit_and_the_sandbox_are_both_asked_through_httpx(tmp_path: Path) -> None:
    """No request of a real process goes around httpx's client (docs/architecture.md, decision 5)."""
    async with raw_server(answers(json.dumps(BODY).encode())) as server:
        text, sent = await ask_a_child(folder=tmp_path / "port", CONTIT_API_KEY="key", CONTIT_BASE_URL=server.url)
    assert (text, len(server.requests)) == ("Twelve.", 3)
    assert sent == ["SENT POST thread", "SENT GET status", "SENT GET response"]
    answered, in_memory = await ask_a_child("--sandbox", folder=tmp_path / "sandbox")
    assert answered
    assert list(dict.fromkeys(in_memory)) == sent

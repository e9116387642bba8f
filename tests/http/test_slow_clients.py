"""Clients that send slowly, read slowly or not at all: each is let go, and no other client waits for it."""

import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from contit_mcp.http.app import Requests
from contit_mcp.http.auth import anyone
from contit_mcp.http.guard import Guard, GuardPolicy
from contit_mcp.http.rate import RequestRate
from tests.children import JSON_RPC, Contit, Served, contit, in_thread, read_answer, rpc

HEAD = b"POST /guarded HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n"
MESSAGE = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
POLICY = GuardPolicy(largest_body=100_000, body_seconds=1.5, body_budget=300_000)
SEND_SECONDS = 0.5
COUNTED: list[tuple[str, int, str | None]] = []


async def flood(_: Request) -> Response:
    """Send more than any buffer holds."""
    return StreamingResponse(b"x" * 65_536 for _ in range(2_000))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of our middleware, with short limits, before applications of a few lines."""
    guarded: ASGIApp = Guard(PlainTextResponse("whole"), POLICY, anyone, RequestRate(100_000))
    routes = [Route("/guarded", guarded), Route("/flood", flood), Route("/open", PlainTextResponse("open"))]
    around = [Middleware(Requests, count=lambda *seen: COUNTED.append(seen), send_seconds=SEND_SECONDS)]
    with in_thread(Starlette(routes=routes, middleware=around), http="h11") as url:
        port = urlsplit(url).port
        assert port
        yield port
        assert httpx.get(f"{url}/open").text == "open"


ENDLESS = {
    "a length, silent": (b"Content-Length: 100\r\n\r\n{", b""),
    "a length, byte by byte": (b"Content-Length: 100\r\n\r\n{", b" "),
    "chunks, silent": (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b""),
    "chunks, byte by byte": (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_body_that_does_not_end_is_a_408(port: int, case: str) -> None:
    """Its client is told so (RFC 9110, 15.5.9)."""
    framing, drip = ENDLESS[case]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(HEAD + framing)
        for _ in range(18 if drip else 0):
            time.sleep(0.1)
            connection.sendall(drip)
        status, headers, body = read_answer(connection)
    assert (status, headers["connection"]) == (408, "close")
    assert b'"slow_body"' in body


def test_a_slow_client_within_the_limits_is_served(port: int) -> None:
    """A request may come byte by byte, and a connection may lie still between two."""
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(MESSAGE)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(2):
            for at in range(0, len(request), 8):
                connection.sendall(request[at : at + 8])
                time.sleep(0.005)
            for at in range(len(MESSAGE)):
                connection.sendall(MESSAGE[at : at + 1])
                time.sleep(0.005)
            assert read_answer(connection)[2] == b"whole"
            time.sleep(0.6)


def test_bodies_of_all_requests_together_have_a_budget(port: int) -> None:
    """Beyond it a request is told to come again, with an answer that it can read; after that there is room again."""
    connections = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(4)]
    for connection in connections:
        connection.sendall(HEAD + b"Content-Length: 95000\r\n\r\n" + b"x" * 90_000)
    answers = {}
    for number, connection in enumerate(connections):
        answers[number] = read_answer(connection)
        connection.close()
    refused = [answer for answer in answers.values() if answer[0] == 503]
    assert sorted(answer[0] for answer in answers.values()) == [408, 408, 408, 503]
    assert refused[0][1]["retry-after"] == "2"
    assert b'"overloaded"' in refused[0][2]
    for _ in range(5):
        assert httpx.post(f"http://127.0.0.1:{port}/guarded", content=MESSAGE, headers=JSON_RPC).text == "whole"


def test_a_client_that_does_not_read_loses_its_request(port: int) -> None:
    """Its answer waits in a full buffer; after the limit the request is ended and counted."""
    COUNTED.clear()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until = time.monotonic() + 10
        while ("other", 200, "slow_reader") not in COUNTED:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_client_that_reads_slowly_gets_everything(port: int) -> None:
    """The limit is for each part, not for the whole answer."""
    size = 0
    with httpx.stream("GET", f"http://127.0.0.1:{port}/flood") as response:
        for chunk in response.iter_raw():
            if not size:
                time.sleep(0.3)
            size += len(chunk)
    assert size == 2_000 * 65_536


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """Where Contit is."""
    with contit() as upstream:
        yield upstream


def test_clients_that_do_not_read_hold_no_place(upstream: Contit) -> None:
    """Half of all places are theirs for 30 s; then the requests end, and the kernel closes the connections."""
    environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "key", "CONTIT_MCP_CALLS_AT_ONCE": "10"}
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    request = HEAD.replace(b"/guarded", b"/mcp") + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with Served(environment) as server:
        connections = []
        for _ in range(10):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(("127.0.0.1", server.port))
            connections.append(connection)
            threading.Thread(target=_send_many, args=(connection, request), daemon=True).start()
        until = time.monotonic() + 20
        while server.post(rpc("ping")).status_code != 503:
            assert time.monotonic() < until, "the places are never full: this test shows nothing"
            time.sleep(0.1)
        until = time.monotonic() + 45
        while server.post(rpc("ping")).status_code != 200:
            assert time.monotonic() < until
            time.sleep(1)
        for connection in connections:
            connection.close()


def _send_many(connection: socket.socket, request: bytes) -> None:
    try:
        for _ in range(2_000):
            connection.sendall(request)
    except OSError:
        return

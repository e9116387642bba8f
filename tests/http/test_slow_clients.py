"""Clients that send or read slowly, or not at all: their requests end in time, and no other client waits for them."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from contit_mcp.config.sources import load_settings
from contit_mcp.http.app import Requests
from contit_mcp.http.auth import anyone
from contit_mcp.http.guard import Guard
from contit_mcp.http.rate import RequestRate
from tests.children import JSON_RPC, in_thread, read_answer

PLACES = 4
HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n"
MESSAGE = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(MESSAGE)
COUNTED: list[tuple[str, int, str | None]] = []


async def flood(_: Request) -> Response:
    return StreamingResponse(b"x" * 65_536 for _ in range(2_000))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve our middleware, with short limits, before two small applications; yield the port."""
    limits = {"CONTIT_MCP_MAX_BODY_BYTES": "100000", "CONTIT_MCP_CALLS_AT_ONCE": str(PLACES)}
    behind = Router([Route("/mcp", PlainTextResponse("whole")), Route("/flood", flood, methods=["POST"])])
    guard = Guard(behind, load_settings(environment=limits), anyone, RequestRate(100_000))
    guard.body_seconds, guard.body_budget = 1.5, 300_000
    app = Requests(guard, lambda *seen: COUNTED.append(seen))
    assert app.send_seconds == 30
    app.send_seconds = 1.0
    with in_thread(app, http="h11") as url:
        yield urlsplit(url).port or 0
        assert httpx.post(f"{url}/mcp", content=MESSAGE, headers=JSON_RPC).text == "whole"


ENDLESS = {
    "a length, silent": (b"Content-Length: 100\r\n\r\n{", b""),
    "a length, byte by byte": (b"Content-Length: 100\r\n\r\n{", b" "),
    "chunks, silent": (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b""),
    "chunks, byte by byte": (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_body_that_does_not_end_in_time_gets_a_408(port: int, case: str) -> None:
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
    """A request may come byte by byte, and a connection may be idle between two."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(2):
            for part in [REQUEST[at : at + 8] for at in range(0, len(REQUEST), 8)] + [bytes([one]) for one in MESSAGE]:
                connection.sendall(part)
                time.sleep(0.005)
            assert read_answer(connection)[2] == b"whole"
            time.sleep(0.6)


def test_bodies_of_all_requests_together_have_a_budget(port: int) -> None:
    """A request beyond it gets a 503 with Retry-After. Afterwards there is room again."""
    connections = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(4)]
    for connection in connections:
        connection.sendall(HEAD + b"Content-Length: 95000\r\n\r\n" + b"x" * 90_000)
    answers = sorted((read_answer(connection) for connection in connections), key=lambda answer: answer[0])
    for connection in connections:
        connection.close()
    assert [answer[0] for answer in answers] == [408, 408, 408, 503]
    assert answers[-1][1]["retry-after"] == "2"
    assert b'"overloaded"' in answers[-1][2]
    for _ in range(5):
        assert httpx.post(f"http://127.0.0.1:{port}/mcp", content=MESSAGE, headers=JSON_RPC).text == "whole"


def test_a_client_that_reads_slowly_gets_everything(port: int) -> None:
    """The limit is for each part, not for the whole answer."""
    size = 0
    with httpx.stream("POST", f"http://127.0.0.1:{port}/flood", content=MESSAGE, headers=JSON_RPC) as response:
        for chunk in response.iter_raw():
            time.sleep(0 if size else 0.3)
            size += len(chunk)
    assert size == 2_000 * 65_536


def test_clients_that_do_not_read_are_cut_off(port: int) -> None:
    """Their requests end after `send_seconds`. Until then, other clients get a 503."""
    connections = [socket.socket() for _ in range(PLACES)]
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(REQUEST.replace(b"/mcp", b"/flood") + MESSAGE)
    until = time.monotonic() + 10
    for expected in (503, 200):
        while httpx.post(f"http://127.0.0.1:{port}/mcp", content=MESSAGE, headers=JSON_RPC).status_code != expected:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert COUNTED.count(("other", 200, "slow_reader")) == PLACES
    for connection in connections:
        connection.close()

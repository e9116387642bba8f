"""Clients that never finish, with short limits at a real port: each is let go, and nobody waits for it."""

import select
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from contit_mcp.http.bodies import BodyLimits
from contit_mcp.http.bounded_protocol import MOST_HEADER_BYTES, BoundedHttpToolsProtocol
from tests.http.served import on_port, read_answer

HEAD = b"POST /limited HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ASK = b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Impatient(BoundedHttpToolsProtocol):
    """The protocol with short limits."""

    header_seconds = 0.4
    body_seconds = 0.9


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server with a place whose bodies are limited, one that reads none, and one that takes its time."""

    async def late(_: Request) -> Response:
        await anyio.sleep(1.2)
        return PlainTextResponse("late")

    limited = BodyLimits(PlainTextResponse("whole"), largest=100_000, seconds=0.4)
    ours = [Route("/open", PlainTextResponse("open")), Route("/late", late), Route("/limited", limited)]
    with on_port(Starlette(routes=ours), http=Impatient) as url:
        port = urlsplit(url).port
        assert port
        yield port
        assert httpx.get(f"{url}/open").text == "open"


def seconds_until_closed(connection: socket.socket, *, every: float = 10.0, send: bytes = b"") -> float:
    """How long the server keeps a connection, while `send` is sent every few seconds."""
    began = time.monotonic()
    while time.monotonic() - began < 5:
        readable, _, _ = select.select([connection], [], [], min(every, 5))
        try:
            if readable and not connection.recv(65_536):
                break
            if not readable and send:
                connection.sendall(send)
        except OSError:
            break
    return time.monotonic() - began


DRIPS = {
    "nothing": (b"", b""),
    "empty lines": (b"\r\n", b"\r\n"),
    "half a request line": (b"GET /op", b"e"),
    "headers without end": (HEAD, b"a: b\r\n"),
    "a header without end": (HEAD + b"a: b", b"b"),
    "nothing after an answer but empty lines": (ASK, b"\r\n"),
    "half a request after an answer": (ASK + b"GET /op", b"e"),
}


@pytest.mark.parametrize("case", DRIPS)
def test_a_client_whose_headers_do_not_end_is_let_go(port: int, case: str) -> None:
    """Slowloris (documented: RFC 9112, 9.5 lets servers close; the limits are our choice)."""
    first, then = DRIPS[case]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(first)
        assert seconds_until_closed(connection, every=0.05, send=then) < 2


def test_a_body_that_does_not_end_is_a_408(port: int) -> None:
    """With an answer that says so (documented: RFC 9110, 15.5.9)."""
    for framing in (b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(HEAD + framing)
            status, headers, body = read_answer(connection)
            assert status == 408
            assert headers["connection"] == "close"
            assert b'"slow_body"' in body


def test_a_body_that_nobody_reads_does_not_keep_the_connection(port: int) -> None:
    """A place that answers at once leaves the rest of the request to come."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        assert seconds_until_closed(connection, every=0.05, send=b"x") < 3


def test_a_whole_request_is_answered_however_long_that_takes(port: int) -> None:
    """The clock is for requests, not for answers; also when the next request has begun to come."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(2):
            connection.sendall(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_answer(connection)[2] == b"late"
        connection.sendall(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.sendall(b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        assert read_answer(connection)[2].startswith(b"late")


def test_a_slow_client_within_the_limits_is_served(port: int) -> None:
    """A request may come byte by byte, and a connection lie still between two."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(2):
            for at in range(0, len(ASK), 8):
                connection.sendall(ASK[at : at + 8])
                time.sleep(0.005)
            assert read_answer(connection)[2] == b"open"
            time.sleep(0.6)
        connection.sendall(HEAD + b"Content-Length: 4\r\n\r\n")
        for byte in b"[]  ":
            connection.sendall(bytes([byte]))
            time.sleep(0.03)
        assert read_answer(connection)[2] == b"whole"


@pytest.mark.parametrize("size", [100, 1_000, MOST_HEADER_BYTES // 2])
def test_headers_within_the_limit_pass_however_they_are_cut(port: int, size: int) -> None:
    """The limit counts bytes, not packets."""
    head = b"GET /open HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * (MOST_HEADER_BYTES - 200) + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(head), size):
            connection.sendall(head[at : at + size])
        assert read_answer(connection)[0] == 200

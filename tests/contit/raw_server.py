"""A scripted server on a port of 127.0.0.1, for connections that break or carry unusual bytes; and its fixtures."""

import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from tests.children import anyio_backend
from tests.contit.upstream import ONCE

__all__ = ["anyio_backend"]
Behaviour = Callable[["Connection"], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxies that the machine has."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@dataclass
class RawServer:
    """The address of a server, and the connections and requests that it got."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Connection:
    server: RawServer
    socket: SocketStream
    stream: ByteStream

    async def request(self) -> bytes:
        """Read one request, with the body that its Content-Length announces."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += await self.stream.receive()
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        while length and len(body) < int(length[1]):
            body += await self.stream.receive()
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    async def answer(self, body: bytes, *, status: str = "200 OK", headers: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.stream.send(head.encode() + body)

    def reset(self) -> None:
        """Let the connection end with a reset instead of a proper end."""
        raw = self.socket.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers(body: bytes, **more: str) -> Behaviour:
    """Return a behaviour that answers every request with this body."""

    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(body, **more)

    return behave


@asynccontextmanager
async def raw_server(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve until the block ends; each connection is closed when `behave` returns."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    server = RawServer(listener.extra(SocketAttribute.local_port))

    async def serve(tcp: SocketStream) -> None:
        server.connections += 1
        # Some tests want a client that leaves, or that does not trust the certificate.
        with suppress(ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream):
            async with tcp:
                stream: ByteStream = tcp
                if tls is not None:
                    stream = await TLSStream.wrap(tcp, server_side=True, ssl_context=tls, standard_compatible=False)
                await behave(Connection(server, tcp, stream))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield server
        tasks.cancel_scope.cancel()
    await listener.aclose()


@asynccontextmanager
async def served(
    behave: Behaviour,
    policy: TransportPolicy | None = None,
    retry: RetryPolicy = ONCE,
    reached_by: Callable[[str], str] = str,
) -> AsyncIterator[tuple[RawServer, ContitClient]]:
    """Yield a server, and a client whose base URL is `reached_by` of the server's. A test that hangs is ended."""
    with anyio.fail_after(60):
        async with raw_server(behave) as server, build_http_client(reached_by(server.url), policy=policy) as http:
            yield server, ContitClient(http, retry=retry)

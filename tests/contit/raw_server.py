"""A scripted server on a real port of 127.0.0.1, for connections that end at an awkward moment; and its fixtures."""

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

Behaviour = Callable[["Connection"], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Real time, since real sockets are waited for."""
    return "asyncio", {}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies the machine has."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@dataclass
class RawServer:
    """Where it listens, and what it saw: connections, requests that came whole, and TLS handshakes that did not work."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    refused_handshakes: list[Exception] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address over plain HTTP."""
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Connection:
    """One accepted connection and what a behaviour does with it."""

    server: RawServer
    socket: SocketStream
    stream: ByteStream

    async def request(self) -> bytes:
        """Read one request, with the body that its Content-Length announces."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += await self.stream.receive()
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += await self.stream.receive()
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    async def answer(self, body: bytes, *, status: str = "200 OK", headers: str = "") -> None:
        """Send one whole answer."""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.stream.send(head.encode() + body)

    async def send(self, data: bytes) -> None:
        """Send just these bytes."""
        await self.stream.send(data)

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
async def raw_server(
    behave: Behaviour, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[RawServer]:
    """Serve while inside; each connection is closed when `behave` returns."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    server = RawServer(listener.extra(SocketAttribute.local_port))

    async def serve(accepted: SocketStream) -> None:
        server.connections += 1
        stream: ByteStream = accepted
        async with accepted:
            if tls is not None:
                try:
                    stream = await TLSStream.wrap(
                        accepted, server_side=True, ssl_context=tls, standard_compatible=False
                    )
                except (ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream) as exc:
                    server.refused_handshakes.append(exc)
                    return
            try:
                await behave(Connection(server, accepted, stream))
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return  # the client has gone, which some tests want

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield server
        tasks.cancel_scope.cancel()
    await listener.aclose()


async def unused_port() -> int:
    """A port on which nobody listens."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener:
        return listener.extra(SocketAttribute.local_port)

"""A small proxy that adds a bearer token: the suite cannot send one. Host, Origin and all else pass as they come."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit, urlunsplit


class _Server(ThreadingTCPServer):
    daemon_threads = True
    upstream: tuple[str, int]
    token: bytes


class _Connection(StreamRequestHandler):
    """One request and its answer, byte by byte but for two headers; another request is another connection."""

    server: _Server

    def handle(self) -> None:
        head = b""
        for line in self.rfile:
            if line == b"\r\n":
                break
            if not line.lower().startswith(b"connection:"):
                head += line
        with socket.create_connection(self.server.upstream) as upstream:
            upstream.sendall(head + b"Connection: close\r\nAuthorization: Bearer " + self.server.token + b"\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(upstream, self.connection), daemon=True)
            back.start()
            with suppress(OSError):  # the answer has come, or the caller has gone
                while data := self.rfile.read1():
                    upstream.sendall(data)
                upstream.shutdown(socket.SHUT_RDWR)
            back.join()


def _pass_on(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            to.sendall(data)
        to.shutdown(socket.SHUT_RDWR)


@contextmanager
def bearer_proxy(url: str, token: str) -> Iterator[str]:
    """A URL at which `url` answers as if the caller had sent the token."""
    parts = urlsplit(url)
    with _Server(("127.0.0.1", 0), _Connection) as server:
        server.upstream = (str(parts.hostname), int(parts.port or 80))
        server.token = token.encode()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield urlunsplit(parts._replace(netloc=f"127.0.0.1:{server.server_address[1]}"))
        server.shutdown()
        thread.join()

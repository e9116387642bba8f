"""A Contit that costs almost nothing: `python -m benchmarks.contit RUN_SECONDS [TROUBLE]`. It prints its port.

It has no state: the id of a run says when the run ends, so that a status is one comparison. It shares the machine with
the server that is measured. TROUBLE is the share of requests that fail: half with 503, half by a broken connection.
"""

import asyncio
import itertools
import json
import random
import socket
import sys
import time

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

_count = itertools.count()


def answer(head: bytes, run_seconds: float) -> bytes:
    """Return the body for a request by its first line."""
    path = head.split(b" ", 2)[1]
    if head.startswith(b"POST"):
        number = next(_count)
        return json.dumps({"threadId": f"t-{number}", "runId": f"{time.time() + run_seconds:.6f}-{number}"}).encode()
    parts = path.split(b"/")
    if parts[-1] == b"status":
        ended = time.time() >= float(parts[-2].partition(b"-")[0])
        return b'{"status":"completed"}' if ended else b'{"status":"in_progress"}'
    return b'{"response":"There are 12 published articles from March 2026; the newest is Breaking News."}'


class Contit(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, run_seconds: float, trouble: float) -> None:
        self._run_seconds = run_seconds
        self._trouble = trouble
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower() if self._received.startswith(b"POST") else b""
            announced = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            length = int(announced or b"0")
            if len(self._received) < end + 4 + length:
                return
            body = answer(self._received[:end], self._run_seconds)
            self._received = self._received[end + 4 + length :]
            if random.random() < self._trouble:
                if random.random() < 0.5:
                    self._transport.abort()
                else:
                    self._transport.write(_UNAVAILABLE)
                continue
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )


async def serve(run_seconds: float, trouble: float) -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=8_192)
    server = await asyncio.get_running_loop().create_server(lambda: Contit(run_seconds, trouble), sock=listener)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))

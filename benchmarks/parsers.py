"""Measure what uvicorn's HTTP parsers do with odd requests, and how fast they are: the table in docs/security.md.

    python -m benchmarks.parsers

A parser that is not installed is left out. Each one serves the same application, which echoes the headers and the body
that arrived, in a process of its own.
"""

import importlib.util
import json
import socket
import subprocess
import sys
import time
from contextlib import suppress

from starlette.types import Receive, Scope, Send

PARSERS = ("h11", "httptools", "zttp")
REQUESTS = 4_000
HALF_SENT_SECONDS = 6.0
_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n"

PROBES = {
    "`Upgrade: h2c` with a body": (
        _HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        b"Content-Length: 4\r\n\r\nbody"
    ),
    "a trailer `X-Api-Key: evil`": _CHUNKED + b"\r\n4\r\nbody\r\n0\r\nX-Api-Key: evil\r\n\r\n",
    "`Content-Length` with `Transfer-Encoding`": _CHUNKED + b"Content-Length: 3\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "two different `Content-Length`": _HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody!",
    "HTTP/1.0": b"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody",
    "HTTP/1.0 with `Transfer-Encoding`": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "a header continued on the next line": _HEAD + b"X-A: b\r\n c\r\nContent-Length: 4\r\n\r\nbody",
    "lines that end with LF alone": (_HEAD + b"Content-Length: 4\r\n\r\nbody").replace(b"\r\n", b"\n"),
    "a space before the colon": _HEAD + b"X-Api-Key : evil\r\nContent-Length: 4\r\n\r\nbody",
    "spaces after a value": _HEAD + b"X-A: b  \r\nContent-Length: 4\r\n\r\nbody",
    "1 MB of one header": _HEAD + b"X-A: " + b"a" * 1_000_000 + b"\r\nContent-Length: 4\r\n\r\nbody",
}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what arrived."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1")[:80] for name, value in scope["headers"]}
    answer = json.dumps({"body": body.decode("latin-1"), "headers": headers}).encode()
    head = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


def _read(connection: socket.socket, seconds: float) -> tuple[bytes, bool]:
    """Return what arrives in that time, and whether the connection was closed."""
    connection.settimeout(seconds)
    got = b""
    try:
        while chunk := connection.recv(65_536):
            got += chunk
    except TimeoutError:
        return got, False
    except ConnectionError:
        return got, True
    return got, True


def _probe(port: int, data: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        with suppress(ConnectionError):  # the answer can be there before the request ends
            connection.sendall(data)
        got, closed = _read(connection, 0.7)
    if not got:
        return "no answer, " + ("closed" if closed else "open")
    head, _, rest = got.partition(b"\r\n\r\n")
    status = head.split(b" ")[1].decode()
    text = status + (", closed" if closed else ", open")
    if status == "200":
        seen = json.loads(rest)
        named = {"x-api-key": "X-Api-Key seen", "x-a": f"X-A: {seen['headers'].get('x-a')!r}"[:20]}
        text += f", body {seen['body']!r}" + "".join(
            f", {told}" for name, told in named.items() if name in seen["headers"]
        )
    return text


def _half_sent(port: int, data: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(data)
        began = time.monotonic()
        _, closed = _read(connection, HALF_SENT_SECONDS)
    return f"closed after {time.monotonic() - began:.0f} s" if closed else f"open after {HALF_SENT_SECONDS:.0f} s"


def _per_second(port: int) -> float:
    request = _HEAD + b"Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: measure\r\n"
    request += b"Authorization: Bearer " + b"t" * 40 + b"\r\nContent-Length: 300\r\n\r\n" + b"x" * 300
    best = 0.0
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            began = time.perf_counter()
            for _ in range(REQUESTS):
                connection.sendall(request)
                got = connection.recv(65_536)
                while b"}}" not in got:
                    got += connection.recv(65_536)
            best = max(best, REQUESTS / (time.perf_counter() - began))
    return best


def measure(parser: str) -> dict[str, str]:
    """Return what one parser does with each probe."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--http", parser, "--port", str(port), "--no-access-log", "--log-level", "critical"]
    options += ["--timeout-keep-alive", "3", "--h11-max-incomplete-event-size", "65536", "--ws", "none"]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.parsers:echo", *options]
    server = subprocess.Popen(command)  # noqa: S603 - this file's own words
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        found = {name: _probe(port, data) for name, data in PROBES.items()}
        found["a connection that sends nothing"] = _half_sent(port, b"")
        found["half a header"] = _half_sent(port, _HEAD + b"X-A: b")
        found["requests a second, one connection"] = f"{_per_second(port):,.0f}"
    finally:
        server.terminate()
        server.wait()
    return found


def main() -> None:
    """Print the table."""
    parsers = [parser for parser in PARSERS if importlib.util.find_spec(parser)]
    found = {parser: measure(parser) for parser in parsers}
    rows = [["request", *parsers], ["---"] * (len(parsers) + 1)]
    rows += [[name, *(found[parser][name] for parser in parsers)] for name in found[parsers[0]]]
    sys.stdout.writelines(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()

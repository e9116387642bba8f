"""Random and hostile requests: the server goes on answering, quickly, and without a fault of its own.

Runs for the seconds in the environment variable `FUZZ_SECONDS`, 5 by default. Each request is made from a seed, which a failure names;
seeds that once found a fault stay in `KEPT`.
"""

import json
import os
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.children import JSON_RPC, Served, contit, rpc

SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))
KEPT = range(40)
"""The first of these make at least one request of each kind."""

MEMORY_GROWTH = 48 * 1_048_576
LARGEST = 262_144

UNITS = [
    "a://",
    "eyJ-",
    "[]",
    "{}",
    '""',
    "\\",
    "\\ud800",
    "\\u0000",
    "9",
    "a",
    "é",
    "\u202e",
    "ᅟ",
    "%2e",
    "..",
    "?#",
    "\x00",
]
METHODS = ["tools/call", "tools/list", "ping", "initialize", "tasks/get", "resources/read", "prompts/get", "completion/complete",
           "notifications/cancelled", "subscriptions/listen", "logging/setLevel", "server/discover", "x"]  # fmt: skip
TOOLS = ["contit_ask", "contit_start", "contit_status", "contit_response", "Contit_Ask", "", "x" * 500]
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
PARAMETERS = [
    "prompt",
    "thread_id",
    "run_id",
    "wait_seconds",
    "offset",
    "threadId",
    "promt",
    "wait_for_previous",
    "_meta",
]


def hostile(chance: random.Random) -> str:
    """A text of one repeated unit, up to the limit of a body."""
    unit = chance.choice(UNITS)
    return unit * (chance.choice([1, 10, 1_000, LARGEST]) // len(unit) + 1)


def value(chance: random.Random, depth: int = 0) -> object:  # noqa: PLR0911 - one for each kind
    """A JSON value of any type."""
    kind = chance.randrange(12 if depth < 3 else 8)
    if kind == 0:
        return chance.choice([None, True, False, 0, -1, 1.5, 1e308, 10 ** chance.randrange(4_000), -(2**63) - 1])
    if kind in {1, 2}:
        return hostile(chance)[: chance.choice([5, 5, 200, 40_000])]
    if kind == 3:
        return {f"k{number}": number for number in range(chance.choice([0, 3, 3, 3, 20_000]))}
    if kind == 4:
        return [chance.choice([[], {}, 0, ""])] * chance.choice([0, 3, 3, 3, 30_000])
    if kind < 8:
        return chance.choice(["run_1", "thread_1", "How many drafts?", "", " ", "null", "None", "\ud83d", "é" * 100])
    if kind < 10:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(PARAMETERS): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def message(chance: random.Random) -> bytes:
    """A JSON-RPC message with something odd in one or more places."""
    arguments = {chance.choice(PARAMETERS): value(chance) for _ in range(chance.randrange(5))}
    meta = META if chance.random() < 0.7 else value(chance)
    params: object = {"name": chance.choice(TOOLS), "arguments": arguments, "_meta": meta}
    whole: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": chance.choice(METHODS), "params": params}
    for name in chance.sample(["jsonrpc", "id", "method", "params", "result", "x"], chance.choice([0, 0, 0, 1, 2])):
        whole[name] = value(chance)
    return json.dumps(whole, ensure_ascii=chance.random() < 0.8).encode(errors="surrogatepass")[: LARGEST + 10]


def body(chance: random.Random) -> bytes:
    """A body: a message, a broken one, or none at all."""
    kind = chance.randrange(8)
    if kind == 0:
        return hostile(chance).encode()[: LARGEST + 10]
    if kind == 1:
        return chance.randbytes(chance.choice([0, 1, 50, 10_000]))
    whole = bytearray(message(chance))
    if kind == 2:
        return b"[" + whole + b"," + whole + b"]"
    if kind == 3 and whole:
        for _ in range(chance.randrange(1, 5)):
            whole[chance.randrange(len(whole))] = chance.randrange(256)
    if kind == 4:
        del whole[chance.randrange(len(whole) + 1) :]
    if kind == 5:
        whole = bytearray(
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":%b}}' % (b"9" * chance.choice([400, 4_301, 90_000]))
        )
    return bytes(whole)


def headers(chance: random.Random) -> list[tuple[str, str]]:
    """Headers of a client of either era, with something odd among them."""
    found = [
        ("Host", "localhost"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ]
    version = chance.choice(["", "2025-06-18", "2025-06-18", "2026-07-28", "2026-07-28", "1999-01-01", "x" * 3_000])
    found += [("Mcp-Protocol-Version", version)] if version else []
    names = ["Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Origin", "Host", "Content-Type", "Accept", "Traceparent", "X-A",
             "Mcp-Param-prompt", "Last-Event-Id", "User-Agent", "Content-Encoding", "Authorization", "Sec-Fetch-Site",
             "Upgrade", "Expect", "Te"]  # fmt: skip
    for name in chance.sample(names, chance.choice([0, 0, 1, 3])):
        text = chance.choice(
            [*METHODS, *TOOLS, "cross-site", "gzip", "h2c", "100-continue", "00-" + "1" * 32 + "-" + "1" * 16]
        )
        found.append((name, (text * chance.choice([1, 1, 50])).replace("\n", " ")))
    chance.shuffle(found)
    return found


def request(seed: int) -> bytes:
    """The bytes of one request."""
    chance = random.Random(seed)
    if seed % 10 == 0:
        return chance.randbytes(chance.choice([1, 30, 3_000, 200_000]))
    content = body(chance)
    method = chance.choice(["POST"] * 12 + ["GET", "PUT", "DELETE", "OPTIONS", "eyJ-" * 2_000])
    path = chance.choice(["/mcp"] * 10 + ["/mcp/", "/sse", "/readyz", "/" + "%2e" * 500, "http://evil.example/mcp"])
    lines = [f"{name}: {text}" for name, text in headers(chance)]
    head = "\r\n".join([f"{method} {path} HTTP/1.{chance.choice('1110')}", *lines]).encode("latin-1", "replace")
    framing = chance.randrange(8)
    if framing == 0:
        chunks = [content[at : at + 5_000] for at in range(0, len(content), 5_000)]
        content = b"".join(b"%x\r\n" % len(chunk) + chunk + b"\r\n" for chunk in chunks) + b"0\r\nHost: evil\r\n\r\n"
        head += b"\r\nTransfer-Encoding: chunked"
    elif framing == 1:
        head += b"\r\nContent-Length: " + chance.choice(
            [b"-1", b"x", b"99999999999", b"5, 5", b"%d" % (len(content) + 9)]
        )
    else:
        head += b"\r\nContent-Length: %d" % len(content)
    whole = bytearray(head + b"\r\nConnection: close\r\n\r\n" + content)
    if seed % 10 == 1:
        for _ in range(chance.randrange(1, 20)):
            whole[chance.randrange(min(len(whole), 600))] = chance.randrange(256)
    return bytes(whole)


def send(server: Served, seed: int) -> str:
    """Send one request; return the status of its answer, "" for none, or "late" if neither comes nor the end."""
    data, got = request(seed), b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        with suppress(OSError):  # the server may have closed the connection by now
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        try:
            while chunk := connection.recv(65_536):
                got += chunk
        except ConnectionResetError:
            pass  # the server has closed a request that it did not read to its end
        except TimeoutError:
            return "late"
    return got[9:12].decode("latin-1")


@contextmanager
def probed(server: Served) -> Iterator[list[float]]:
    """Ask for `/healthz` all the time, and check how long the answers took; yields the seconds of each."""
    stop, delays, noise = threading.Event(), list[float](), list[float]()

    def probe() -> None:
        with httpx.Client(timeout=30) as http:
            while not stop.is_set():
                began = time.monotonic()
                assert http.get(f"{server.base}/healthz").status_code == 200
                delays.append(time.monotonic() - began)
                time.sleep(0.02)

    def oversleep() -> None:  # on a machine with other work this process itself is late, and answers seem as late
        while not stop.is_set():
            began = time.monotonic()
            time.sleep(0.02)
            noise.append(time.monotonic() - began - 0.02)

    threads = [threading.Thread(target=probe), threading.Thread(target=oversleep)]
    for thread in threads:
        thread.start()
    try:
        yield delays
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert statistics.median(delays) < 0.1
    assert max(delays) < 0.5 + max(noise), max(delays)
    server.assert_unharmed()


def memory(server: Served) -> int:
    """Return the resident bytes of the server."""
    lines = server.http.get(f"{server.base}/metrics").text.splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("process_resident_memory_bytes "))))


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server without authentication whose calls wait for a second."""
    with contit() as upstream:
        environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_WAIT_SECONDS": "1"}
        with Served(environment) as server:
            yield server


def test_no_request_stops_the_server(server: Served) -> None:
    """Bytes, HTTP, JSON and headers at random, while `/healthz` is asked all the time."""
    answers: dict[int, str] = {seed: send(server, seed) for seed in KEPT}
    before, first, until = memory(server), random.randrange(10**9), time.monotonic() + SECONDS

    def send_all(seed: int) -> None:
        while time.monotonic() < until:
            answers[seed] = send(server, seed)
            seed += 2

    with probed(server):
        threads = [threading.Thread(target=send_all, args=(first + number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 60)
    assert not {seed: status for seed, status in answers.items() if status in {"late", "500"}}
    assert server.post(rpc("ping")).status_code == 200
    assert not server.named("call.crashed"), f"seeds from {first}"
    assert memory(server) - before < MEMORY_GROWTH


HOSTILE: dict[str, Callable[[], bytes]] = {
    "lists beside each other": lambda: b"[" + b"[]," * 87_000 + b"0]",
    "the most lists that are parsed": lambda: b"[" + b"[]," * 39_000 + b"0]",
    "objects beside each other": lambda: b"[" + b"{}," * 39_000 + b"0]",
    "empty texts": lambda: b"[" + b'"",' * 87_000 + b"0]",
    "numbers": lambda: b"[" + b"1," * 131_000 + b"0]",
    "long numbers": lambda: b"[" + (b"9" * 4_300 + b",") * 60 + b"0]",
    "long fractions": lambda: b"[" + (b"0." + b"9" * 40_000 + b",") * 6 + b"0]",
    "exponents": lambda: b"[" + b"1e308," * 43_000 + b"0]",
    "keys": lambda: b"{" + b",".join(b'"%x":0' % number for number in range(28_000)) + b"}",
    "the same key": lambda: b"{" + b'"a":0,' * 43_000 + b'"a":0}',
    "one long text": lambda: b'"' + b"a" * 262_000 + b'"',
    "escapes": lambda: b'"' + rb"\u0041" * 43_000 + b'"',
    "surrogate pairs": lambda: b'"' + rb"\ud83d\ude00" * 21_000 + b'"',
    "halves of surrogate pairs": lambda: b'"' + rb"\ud83d" * 43_000 + b'"',
    "addresses": lambda: b'"' + b"a://" * 65_000 + b'"',
    "tokens": lambda: b'"' + b"eyJ-" * 65_000 + b'"',
    "quotes": lambda: b'"' + rb"\"" * 130_000 + b'"',
    "depth": lambda: b"[" * 60 + b"[" * 30_000 + b"]" * 30_000 + b"]" * 60,
    "spaces": lambda: b" " * 262_000 + b"1",
}


@pytest.mark.parametrize("place", ["id", "method", "params", "name", "arguments", "prompt", "_meta", "clientInfo"])
def test_no_body_holds_up_the_others(server: Served, place: str) -> None:
    """Every value in every place, alone and in both eras."""
    with probed(server):
        for name, make in HOSTILE.items():
            content = filled(place, make())[: LARGEST - 1]
            for version in ("2025-06-18", "2026-07-28"):
                fields = {"Mcp-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": "contit_ask"}
                answer = server.http.post(server.url, content=content, headers=fields | JSON_RPC)
                assert answer.status_code in {200, 400}, (name, answer.text[:200])


def filled(place: str, content: bytes) -> bytes:
    """Return a call of a tool with a value in one place."""
    marker = "@@here@@"
    meta: dict[str, object] = dict(META)
    params: dict[str, object] = {"name": "contit_ask", "arguments": {"prompt": "How many drafts?"}, "_meta": meta}
    template: dict[str, object] = rpc("tools/call")
    template["params"] = params
    match place:
        case "name" | "arguments" | "_meta":
            params[place] = marker
        case "prompt":
            params["arguments"] = {"prompt": marker}
        case "clientInfo":
            meta["io.modelcontextprotocol/clientInfo"] = {"name": marker, "version": "1"}
        case _:
            template[place] = marker
    return json.dumps(template).encode().replace(f'"{marker}"'.encode(), content)

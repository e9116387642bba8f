"""Random and hostile requests: the server goes on answering, quickly, and without a fault of its own.

Runs for `FUZZ_SECONDS` (environment), 5 by default. Each request is made from a seed, which a failure names.
"""

import json
import os
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.children import ERAS, JSON_RPC, Served, message_of, rpc, samples

pytestmark = pytest.mark.no_cover

SETTINGS = {"CONTIT_MCP_WAIT_SECONDS": "1"}
SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))
FIRST_SEEDS = range(40)  # they make at least one request of each kind
MEMORY_GROWTH = 48 * 1_048_576
LARGEST = 262_144  # bytes of a body

UNITS = ["a://", "eyJ-", "[]", "{}", '""', "\\", "\\ud800", "\\u0000", "9", "a", "é", "\u202e", "ᅟ", "%2e", "\x00"]
METHODS = ["tools/call", "tools/list", "ping", "initialize", "tasks/get", "resources/read", "prompts/get", "x",
           "completion/complete", "notifications/cancelled", "subscriptions/listen", "logging/setLevel",
           "server/discover"]  # fmt: skip
TOOLS = ["contit_ask", "contit_start", "contit_status", "contit_response", "Contit_Ask", "", "x" * 500]
PARAMETERS = "prompt thread_id run_id wait_seconds offset threadId promt wait_for_previous _meta".split()
HEADERS = ["Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Origin", "Host", "Content-Type", "Accept", "Traceparent", "X-A",
           "Mcp-Param-prompt", "Last-Event-Id", "User-Agent", "Content-Encoding", "Authorization", "Sec-Fetch-Site",
           "Upgrade", "Expect", "Te", "Mcp-Protocol-Version"]  # fmt: skip
VALUES = [*METHODS, *TOOLS, "1999-01-01", "cross-site", "gzip", "h2c", "100-continue", "00-" + "1" * 32]
TEXTS = ["run_1", "thread_1", "How many drafts?", "", " ", "null", "None", "\ud83d", "é" * 100]
MEMBERS = ["jsonrpc", "id", "method", "params", "result", "x"]


class Chance(random.Random):
    """Makes requests at random; each method makes one part of them."""

    def hostile(self) -> str:
        """Return one repeated unit, up to the limit of a body."""
        unit = self.choice(UNITS)
        return unit * (self.choice([1, 10, 1_000, LARGEST]) // len(unit) + 1)

    def value(self, depth: int = 0) -> object:
        kinds: list[Callable[[], object]] = [
            lambda: self.choice([None, True, False, 0, -1, 1.5, 1e308, 10 ** self.randrange(4_000), -(2**63) - 1]),
            lambda: self.hostile()[: self.choice([5, 5, 200, 40_000])],
            lambda: {f"k{number}": number for number in range(self.choice([0, 3, 3, 3, 20_000]))},
            lambda: [self.choice([[], {}, 0, ""])] * self.choice([0, 3, 3, 3, 30_000]),
            lambda: self.choice(TEXTS),
            lambda: [self.value(depth + 1) for _ in range(self.randrange(4))],
            lambda: {self.choice(PARAMETERS): self.value(depth + 1) for _ in range(self.randrange(4))},
        ]
        return self.choice(kinds if depth < 3 else kinds[:5])()

    def broken(self, data: bytes, first_bytes: int, most_changes: int) -> bytes:
        changed = bytearray(data)
        for _ in range(self.randrange(1, most_changes) if changed else 0):
            changed[self.randrange(min(len(changed), first_bytes))] = self.randrange(256)
        return bytes(changed)

    def body(self, whole: bytes) -> bytes:
        long = b"9" * self.choice([400, 90_000])
        return self.choice([
            whole, whole, b"[" + whole + b"," + whole + b"]", self.broken(whole, len(whole), 5),
            whole[: self.randrange(len(whole) + 1)], self.hostile().encode()[: LARGEST + 10],
            self.randbytes(self.choice([0, 1, 50, 10_000])),
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + long + b"}}",
        ])  # fmt: skip

    def request(self, *, raw: bool, broken: bool) -> bytes:
        if raw:
            return self.randbytes(self.choice([1, 30, 3_000, 200_000]))
        arguments = {self.choice(PARAMETERS): self.value() for _ in range(self.randrange(5))}
        good = message_of(self.choice(ERAS), self.choice(METHODS), {"name": self.choice(TOOLS), "arguments": arguments})
        if self.random() < 0.3:
            good["json"]["params"]["_meta"] = self.value()
        good["json"] |= {name: self.value() for name in self.sample(MEMBERS, self.choice([0, 0, 0, 1, 2]))}
        text = json.dumps(good["json"], ensure_ascii=self.random() < 0.8)
        content = self.body(text.encode(errors="surrogatepass")[: LARGEST + 10])
        odd_headers = self.sample(HEADERS, self.choice([0, 0, 1, 3]))
        headers = [("Host", "localhost"), ("Content-Type", "application/json"), *good["headers"].items()]
        headers += [(name, self.choice(VALUES) * self.choice([1, 1, 50])) for name in odd_headers]
        self.shuffle(headers)
        method = self.choice(["POST"] * 12 + ["GET", "PUT", "DELETE", "OPTIONS", "eyJ-" * 2_000])
        path = self.choice(["/mcp"] * 10 + ["/mcp/", "/sse", "/readyz", "/" + "%2e" * 500, "http://evil.example/mcp"])
        lines = [f"{name}: {text}" for name, text in headers if text]
        head = "\r\n".join([f"{method} {path} HTTP/1.{self.choice('1110')}", *lines]).encode("latin-1", "replace")
        framing = self.randrange(8)
        if framing == 0:
            parts = [content[at : at + 5_000] for at in range(0, len(content), 5_000)]
            content = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nHost: evil\r\n\r\n"
            head += b"\r\nTransfer-Encoding: chunked"
        else:
            right = b"%d" % len(content)
            odd = [b"-1", b"x", b"99999999999", b"5, 5", b"%d" % (len(content) + 9)]
            head += b"\r\nContent-Length: " + (self.choice(odd) if framing == 1 else right)
        whole = head + b"\r\nConnection: close\r\n\r\n" + content
        return self.broken(whole, 600, 20) if broken else whole


def send(server: Served, seed: int) -> str:
    """Send one request; return the status of its answer, "" if the connection ends without one, or "late"."""
    data, got = Chance(seed).request(raw=seed % 10 == 0, broken=seed % 10 == 1), b""
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
def probed(server: Served) -> Iterator[None]:
    """Request `/healthz` all the time, and check how long the answers took."""
    stop, delays, noise = threading.Event(), list[float](), list[float]()

    def probe() -> None:
        with httpx.Client(timeout=30) as http:
            while not stop.is_set():
                began = time.monotonic()
                assert http.get(f"{server.base}/healthz").status_code == 200
                delays.append(time.monotonic() - began)
                time.sleep(0.02)

    def oversleep() -> None:  # measures how late this process itself is on a busy machine
        while not stop.is_set():
            began = time.monotonic()
            time.sleep(0.02)
            noise.append(time.monotonic() - began - 0.02)

    with ThreadPoolExecutor() as threads:
        running = [threads.submit(each) for each in (probe, oversleep)]
        try:
            yield
        finally:
            stop.set()
    for each in running:
        each.result()
    assert statistics.median(delays) < 0.1
    assert max(delays) < 0.5 + max(noise), max(delays)
    server.assert_unharmed()


def resident(server: Served) -> float:
    return samples(server.http.get(server.metrics_url).text)["process_resident_memory_bytes"]


def test_no_request_stops_the_server(server: Served) -> None:
    answers: dict[int, str] = {seed: send(server, seed) for seed in FIRST_SEEDS}
    memory, first, until = resident(server), random.randrange(10**9), time.monotonic() + SECONDS

    def send_all(seed: int) -> None:
        while time.monotonic() < until:
            answers[seed] = send(server, seed)
            seed += 2

    with probed(server), ThreadPoolExecutor() as threads:
        list(threads.map(send_all, (first, first + 1)))
    assert not {seed: status for seed, status in answers.items() if status in {"late", "500"}}
    assert server.post(rpc("ping")).status_code == 200
    assert not server.named("call.crashed"), f"seeds from {first}"
    assert resident(server) - memory < MEMORY_GROWTH


HOSTILE: dict[str, bytes] = {
    "lists beside each other": b"[" + b"[]," * 87_000 + b"0]",
    "the most lists that are parsed": b"[" + b"[]," * 39_000 + b"0]",
    "objects beside each other": b"[" + b"{}," * 39_000 + b"0]",
    "numbers": b"[" + b"1," * 131_000 + b"0]",
    "long numbers": b"[" + (b"9" * 4_300 + b",") * 60 + b"0]",
    "long fractions": b"[" + (b"0." + b"9" * 40_000 + b",") * 6 + b"0]",
    "keys": b"{" + b",".join(b'"%x":0' % number for number in range(28_000)) + b"}",
    "the same key": b"{" + b'"a":0,' * 43_000 + b'"a":0}',
    "one long text": b'"' + b"a" * 262_000 + b'"',
    "escapes": b'"' + rb"\u0041" * 43_000 + b'"',
    "halves of surrogate pairs": b'"' + rb"\ud83d" * 43_000 + b'"',
    "addresses": b'"' + b"a://" * 65_000 + b'"',
    "tokens": b'"' + b"eyJ-" * 65_000 + b'"',
    "quotes": b'"' + rb"\"" * 130_000 + b'"',
    "depth": b"[" * 30_060 + b"]" * 30_060,
    "spaces": b" " * 262_000 + b"1",
}
MARKER = "@@here@@"
ARGUMENTS = {"prompt": "How many drafts?"}
GOOD = message_of("modern", "tools/call", {"name": "contit_ask", "arguments": ARGUMENTS}, name="contit_ask")
PARAMS = GOOD["json"]["params"]
CLIENT = {"io.modelcontextprotocol/clientInfo": {"name": MARKER, "version": "1"}}
PLACES: dict[str, dict[str, Any]] = {
    **{name: {name: MARKER} for name in ("id", "method", "params")},
    **{name: {"params": PARAMS | {name: MARKER}} for name in ("name", "arguments", "_meta")},
    "prompt": {"params": PARAMS | {"arguments": {"prompt": MARKER}}},
    "clientInfo": {"params": PARAMS | {"_meta": PARAMS["_meta"] | CLIENT}},
}


@pytest.mark.parametrize("place", PLACES)
def test_no_body_delays_other_requests(server: Served, place: str) -> None:
    """Each hostile value in this place, in both eras."""
    template = json.dumps(GOOD["json"] | PLACES[place]).encode()
    with probed(server):
        for name, value in HOSTILE.items():
            content = template.replace(f'"{MARKER}"'.encode(), value)[: LARGEST - 1]
            for version in ("2025-06-18", "2026-07-28"):
                headers = JSON_RPC | GOOD["headers"] | {"Mcp-Protocol-Version": version}
                answer = server.http.post(server.url, content=content, headers=headers)
                assert answer.status_code in {200, 400}, (name, answer.text[:200])

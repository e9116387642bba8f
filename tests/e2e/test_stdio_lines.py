"""Every line on stdin that can be answered is answered: broken JSON, batches, odd ids, surrogates, over-long lines."""

import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
PING = {"jsonrpc": "2.0", "id": "ping", "method": "ping"}
ASK = {
    "jsonrpc": "2.0",
    "id": 5,
    "method": "tools/call",
    "params": {"name": "contit_ask", "arguments": {"prompt": "x"}},
}


class Child:
    """A real `contit-mcp stdio --sandbox`."""

    def __init__(self) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads fills up; the fixture closes it
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "contit_mcp", "stdio", "--sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            bufsize=0,
            env=environment,
        )
        self.send(json.dumps(INITIALIZE).encode())
        self.answer()

    def send(self, line: bytes) -> None:
        """Write one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Read the next message, for which at most 20 s are waited."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        assert ready, "no answer came"
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> str:
        """Close stdin and return what was logged."""
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0
        self.log.seek(0)
        return self.log.read().decode()


@pytest.fixture
def child() -> Iterator[Child]:
    """A server that is ended after the test."""
    started = Child()
    yield started
    started.process.kill()
    started.process.communicate()
    started.log.close()


def line(**message: Any) -> bytes:
    """One JSON-RPC message."""
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


PARSE, INVALID = -32700, -32600
LINES: list[tuple[bytes, int, object]] = [
    (b"{", PARSE, None),
    (b"not json", PARSE, None),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "ping"', PARSE, None),
    (b"\xff\xfe\x00", PARSE, None),
    (b"[" * 5_000, PARSE, None),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "ping"} trailing', PARSE, None),
    (json.dumps([PING, PING]).encode(), INVALID, None),
    (b"[]", INVALID, None),
    (b"7", INVALID, None),
    (b'"ping"', INVALID, None),
    (b"null", INVALID, None),
    (line(id=None, method="ping"), INVALID, None),
    (line(id=1.5, method="ping"), INVALID, None),
    (line(id=True, method="ping"), INVALID, None),
    (line(id=[], method="ping"), INVALID, None),
    (line(id={"a": 1}, method="ping"), INVALID, None),
    (line(id=None, method="tools/call", params=ASK["params"]), INVALID, None),
    (b'{"id": 8, "method": "ping"}', INVALID, 8),
    (b'{"jsonrpc": "1.0", "id": "a", "method": "ping"}', INVALID, "a"),
    (line(id=9, method=5), INVALID, 9),
    (line(id=10, method="ping", params=[1]), INVALID, 10),
    (line(id=11), INVALID, 11),
    (b'{"jsonrpc": "2.0", "id": 12, "method": "tools/call", "params": {"name": "contit_ask", "arguments": {"prompt": "\\ud800"}}}', PARSE, 12),
    (b'{"jsonrpc": "2.0", "id": "\\udfff", "method": "ping"}', PARSE, None),
    (b'{"jsonrpc": "2.0", "id": 13, "method": "ping", "params": {"\\ud83d": 1}}', PARSE, 13),
    (b'{"jsonrpc": "2.0", "id": 14, "method": "x", "params": {"a": "' + b"y" * 1_100_000 + b'"}}', INVALID, None),
    (b'{"jsonrpc": "2.0", "id": 15, "method": "x", "params": {"a": "' + "è".encode() * 550_000 + b'"}}', INVALID, None),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "code", "request_id"), LINES, ids=[ascii(sent[:40]) for sent, _, _ in LINES])
def test_a_line_that_is_no_message_gets_an_error(child: Child, sent: bytes, code: int, request_id: object) -> None:
    """With its id where that can be read, and the next message is served."""
    child.send(sent)
    answer = child.answer()
    assert (answer["error"]["code"], answer["id"]) == (code, request_id)
    child.send(json.dumps(PING).encode())
    assert child.answer() == {"jsonrpc": "2.0", "id": "ping", "result": {}}
    log = child.end()
    assert log.count("stdio.unreadable_line") == 1
    assert "Traceback" not in log
    assert "call.crashed" not in log


def test_empty_lines_and_notifications_get_no_answer(child: Child) -> None:
    """A notification has no id, so nothing can be answered."""
    for sent in (
        b"",
        b"   ",
        line(method="notifications/initialized"),
        line(method="notifications/cancelled", params={"requestId": 99}),
    ):
        child.send(sent)
    child.send(json.dumps(PING).encode())
    assert child.answer()["id"] == "ping"


def test_a_flood_of_broken_lines_is_answered_and_leaves_the_server_as_it_was(child: Child) -> None:
    """Random bytes and mutated messages, with a fixed seed; FUZZ_SECONDS makes it longer."""
    seed = random.Random(20261129)
    good = [json.dumps(message).encode() for message in (PING, ASK, INITIALIZE)]
    ends = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "3"))
    sent = 0
    while time.monotonic() < ends:
        data = bytearray(seed.choice(good))
        for _ in range(seed.randrange(1, 6)):
            data[seed.randrange(len(data))] = seed.randrange(256)
        if seed.random() < 0.2:
            data = bytearray(seed.randbytes(seed.randrange(1, 400)))
        child.send(bytes(data).replace(b"\n", b" "))
        sent += 1
        if sent % 50 == 0:
            mark = {"jsonrpc": "2.0", "id": f"mark-{sent}", "method": "ping"}
            child.send(json.dumps(mark).encode())
            while child.answer().get("id") != mark["id"]:
                pass
    log = child.end()
    assert sent > 50
    assert "Traceback" not in log
    assert "call.crashed" not in log

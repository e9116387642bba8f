"""Every line on stdin that can be answered is answered: broken JSON, batches, odd ids, surrogates, over-long lines."""

import json
import os
import random
import time
from typing import Any

import anyio
import pytest

from tests.children import INFO, stdio_child

pytestmark = pytest.mark.anyio

ASKED = {"name": "contit_ask", "arguments": {"prompt": "x"}}


def line(**message: Any) -> bytes:
    """Return a JSON-RPC message."""
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


PING = line(id="ping", method="ping")
PARSE, INVALID = -32700, -32600
LINES: list[tuple[bytes, int, object]] = [  # the line, and the code and the id of the error
    (b"{", PARSE, None),
    (b"\xff\xfe\x00", PARSE, None),
    (b"[" * 5_000, PARSE, None),
    (PING + b" trailing", PARSE, None),
    (b"[" + PING + b", " + PING + b"]", INVALID, None),
    (b"[]", INVALID, None),
    (b"null", INVALID, None),
    (line(id=None, method="ping"), INVALID, None),
    (line(id=1.5, method="ping"), INVALID, None),
    (line(id=True, method="ping"), INVALID, None),
    (line(id={"a": 1}, method="ping"), INVALID, None),
    (b'{"id": 8, "method": "ping"}', INVALID, 8),
    (b'{"jsonrpc": "1.0", "id": "a", "method": "ping"}', INVALID, "a"),
    (line(id=9, method=5), INVALID, 9),
    (line(id=10, method="ping", params=[1]), INVALID, 10),
    (line(id=11), INVALID, 11),
    (line(id=12, method="tools/call", params={"name": "contit_ask", "arguments": {"prompt": "\ud800"}}), PARSE, 12),
    (line(id="\udfff", method="ping"), PARSE, None),
    (line(id=13, method="ping", params={"\ud83d": 1}), PARSE, 13),
    (line(id=14, method="x", params={"a": "y" * 1_100_000}), INVALID, None),
    (line(id=15, method="x", params={"a": "è" * 550_000}), INVALID, None),
]


async def test_a_line_that_is_no_message_gets_an_error_and_the_next_line_is_served() -> None:
    """The error has the id of the message if it can be read. Empty lines and notifications get no answer."""
    async with stdio_child({}, "stdio", "--sandbox") as child:
        await child.initialize()
        await child.write(b"\n   \n" + line(method="notifications/cancelled", params={"requestId": 99}) + b"\n")
        for number, (sent, code, request_id) in enumerate(LINES, start=100):
            before = len(child.messages)
            await child.write(sent + b"\n")
            with anyio.fail_after(20):
                assert (await child.request(number, "ping", {}))["result"] == {}
            answer, _ = child.messages[before:]
            assert (answer["error"]["code"], answer["id"]) == (code, request_id), sent[:80]
        assert await child.end() == 0
    assert child.stderr.count(b"stdio.unreadable_line") == len(LINES)
    assert not any(word in child.stderr for word in (b"Traceback", b"call.crashed"))


async def test_a_server_survives_random_broken_lines() -> None:
    """Random bytes and mutated messages, with a fixed seed; FUZZ_SECONDS makes it longer."""
    chance = random.Random(20261129)
    good = [PING, line(id=5, method="tools/call", params=ASKED), line(id=0, method="initialize", params=INFO)]
    sent = 0
    async with stdio_child({}, "stdio", "--sandbox") as child:
        await child.initialize()
        ends = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "3"))
        while time.monotonic() < ends:
            data = bytearray(chance.choice([*good, chance.randbytes(chance.randrange(1, 400))]))
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            await child.write(bytes(data).replace(b"\n", b" ") + b"\n")
            sent += 1
            if sent % 50 == 0:
                child.stdout = b""
                with anyio.fail_after(20):
                    await child.request(sent, "ping", {})
        assert await child.end() == 0
    assert sent > 50
    assert not any(word in child.stderr for word in (b"Traceback", b"call.crashed"))

"""To a client that does not declare the Tasks extension nothing of it is to be seen."""

import json
from typing import Any

import pytest

from contit_mcp.tasks.extension import IDENTIFIER
from tests.echo_contit import EchoContit
from tests.server.stage import settings, wire

pytestmark = pytest.mark.anyio

ASK = {"name": "contit_ask", "arguments": {"prompt": "q"}, "_meta": {"progressToken": "p"}}
IDS = {"thread_id": "thread_1", "run_id": "run_2"}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("tools/list", {}),
    ("tools/call", ASK),
    ("tools/call", {"name": "contit_ask", "arguments": {"prompt": "r", "wait_seconds": 0}, "task": {"ttl": 60}}),
    ("tools/call", {"name": "contit_start", "arguments": {"prompt": "s"}}),
    ("tools/call", {"name": "contit_status", "arguments": IDS}),
    ("tools/call", {"name": "contit_response", "arguments": {"x": 1}}),
    ("tools/call", {"name": "no_such_tool", "arguments": {}}),
    ("tasks/list", {}),
]


async def test_the_handshake_era_sees_nothing_of_tasks() -> None:
    """Not even where its client names the extension: it is not of that era, and its methods do not exist there."""
    requests = [*CALLS, ("tasks/get", {"taskId": "x"}), ("tasks/get", {}), ("tasks/cancel", {})]
    written = await wire(
        "legacy", {"extensions": {IDENTIFIER: {}}, "tasks": {}}, requests, EchoContit(seconds=3), settings()
    )
    assert not [line for line in written if IDENTIFIER in line or '"taskId":' in line or '"resultType":"task"' in line]
    errors = [message["error"]["code"] for message in map(json.loads, written) if "error" in message]
    assert errors == [-32601] * 4


async def test_a_client_of_the_newer_era_that_does_not_declare_tasks_gets_plain_results() -> None:
    """Only `server/discover` names the extension, as the specification demands."""
    written = await wire("modern", {"extensions": {"com.example/other": {}}}, CALLS, EchoContit(seconds=3), settings())
    assert [index for index, line in enumerate(written) if IDENTIFIER in line] == [0]
    capabilities = json.loads(written[0])["result"]["capabilities"]
    assert IDENTIFIER in capabilities["extensions"]
    assert capabilities["tools"] == {"listChanged": False}
    assert capabilities["resources"] == {"subscribe": False, "listChanged": False}
    assert not [line for line in written if '"resultType":"task"' in line]

"""To a client that does not declare the Tasks extension nothing of it is to be seen."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from contit_mcp.server.context import AppContext
from contit_mcp.server.server import create_server
from contit_mcp.tasks.extension import IDENTIFIER
from tests.echo_contit import EchoContit
from tests.server.stage import settings

pytestmark = pytest.mark.anyio

INFO = {"name": "a-host", "version": "1"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": INFO,
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"com.example/other": {}}},
}
ASK = {"name": "contit_ask", "arguments": {"prompt": "q"}, "_meta": {"progressToken": "p"}}
IDS = {"thread_id": "thread_1", "run_id": "run_2"}
CALLS: Sequence[tuple[str, dict[str, Any]]] = [
    ("tools/list", {}),
    ("prompts/list", {}),
    ("tools/call", ASK),
    ("tools/call", {"name": "contit_ask", "arguments": {"prompt": "r", "wait_seconds": 0}, "task": {"ttl": 60}}),
    ("tools/call", {"name": "contit_start", "arguments": {"prompt": "s"}}),
    ("tools/call", {"name": "contit_status", "arguments": IDS}),
    ("tools/call", {"name": "contit_response", "arguments": IDS}),
    ("tools/call", {"name": "contit_response", "arguments": {"x": 1}}),
    ("tools/call", {"name": "no_such_tool", "arguments": {}}),
    ("tasks/list", {}),
]
HANDSHAKE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"extensions": {IDENTIFIER: {}}, "tasks": {}},
    "clientInfo": INFO,
}
LEGACY = [("initialize", HANDSHAKE), *CALLS, ("tasks/get", {"taskId": "x"}), ("tasks/get", {}), ("tasks/cancel", {})]
MODERN = [("server/discover", {}), *CALLS]


async def spoken(legacy: bool) -> list[str]:
    """Return every message that a server writes in answer to the requests, as it goes over the wire."""
    requests = LEGACY if legacy else MODERN
    written: list[str] = []
    async with AppContext(settings(), transport=EchoContit(seconds=3)) as context:
        server = create_server(context)
        to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks, from_server:
            tasks.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
            async with to_server:
                for number, (method, params) in enumerate(requests):
                    meta = params.get("_meta", {}) | ({} if legacy else ENVELOPE)
                    message = JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params={**params, "_meta": meta})
                    await to_server.send(SessionMessage(message))
                    while True:
                        answer = (await from_server.receive()).message
                        written.append(answer.model_dump_json(by_alias=True, exclude_unset=True))
                        if getattr(answer, "id", None) == number:
                            break
    return written


async def test_the_handshake_era_sees_nothing_of_tasks() -> None:
    """Not even where its client names the extension: it is not of that era, and its methods do not exist there."""
    written = await spoken(True)
    assert not [line for line in written if IDENTIFIER in line or '"taskId":' in line or '"resultType":"task"' in line]
    errors = [message["error"]["code"] for message in map(json.loads, written) if "error" in message]
    assert errors == [-32601] * 4


async def test_a_client_of_the_newer_era_that_does_not_declare_tasks_gets_plain_results() -> None:
    """Only `server/discover` names the extension, as the specification demands."""
    written = await spoken(False)
    assert [index for index, line in enumerate(written) if IDENTIFIER in line] == [0]
    capabilities = json.loads(written[0])["result"]["capabilities"]
    assert IDENTIFIER in capabilities["extensions"]
    assert capabilities["tools"] == {"listChanged": False}
    assert capabilities["resources"] == {"subscribe": False, "listChanged": False}
    assert not [line for line in written if '"resultType":"task"' in line]

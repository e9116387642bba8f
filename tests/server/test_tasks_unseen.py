"""To a client that does not declare the Tasks extension nothing of it is to be seen."""

import json
import random
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from contit_mcp.server.application import ContitServer, create_server, create_tools
from contit_mcp.server.bridge import Bridge, open_bridge
from contit_mcp.tasks.requests import IDENTIFIER
from tests.echo_contit import EchoContit
from tests.server.stage import settings
from tests.stage import wall_clock

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


async def spoken(legacy: bool, *, with_tasks: bool) -> list[str]:
    """Every message that a server writes in answer to the requests, as it goes over the wire."""
    requests = LEGACY if legacy else MODERN
    random.seed(7)  # polling has jitter
    written: list[str] = []
    async with open_bridge(settings(), transport=EchoContit(seconds=3), now=wall_clock) as bridge:
        server = _server(bridge, with_tasks=with_tasks)
        to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks, from_server:
            options = server.protocol.create_initialization_options()
            tasks.start_soon(server.protocol.run, incoming, outgoing, options)
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


def _server(bridge: Bridge, *, with_tasks: bool) -> ContitServer:
    return create_server(bridge) if with_tasks else ContitServer(bridge, create_tools())


async def test_the_handshake_era_sees_no_difference_in_any_byte() -> None:
    """Not even where its client names the extension: it is not of that era (documented)."""
    assert await spoken(True, with_tasks=True) == await spoken(True, with_tasks=False)


async def test_the_newer_era_sees_one_more_line_in_what_the_server_can_do_and_no_other_difference() -> None:
    """Documented: the server MUST advertise it in `server/discover`."""
    with_tasks, without = await spoken(False, with_tasks=True), await spoken(False, with_tasks=False)
    assert with_tasks[1:] == without[1:]
    discovered = json.loads(with_tasks[0])
    assert discovered["result"]["capabilities"].pop("extensions") == {IDENTIFIER: {}}
    assert discovered == json.loads(without[0])

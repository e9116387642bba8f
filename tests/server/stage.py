"""The MCP server in memory, on a Contit of the test's choice: for the SDK's own client, or message by message."""

import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import jsonschema
import pytest
from mcp.client import Client
from mcp.client.extension import ClientExtension
from mcp.shared.message import SessionMessage
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    CallToolResult,
    Implementation,
    JSONRPCRequest,
    RequestParamsMeta,
    TextContent,
)

from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import load_settings
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.server.context import AppContext
from contit_mcp.server.server import create_server
from contit_mcp.server.tools import create_tools
from tests.stage import wall_clock

ERAS = ("legacy", "auto")
"""The older era of the protocol, up to 2025-11-25, and the newer one, 2026-07-28: as modes of the SDK's client."""

in_each_era = pytest.mark.parametrize("era", ERAS)

WANTS_PROGRESS: RequestParamsMeta = {"progress_token": "in memory"}
"""In memory and in the newer era, the SDK's client sends no token for its progress callback."""

OUTPUT_SCHEMA = create_tools()["contit_ask"].listed.output_schema or {}

KEY = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_BASE_URL": "http://localhost", "CONTIT_MCP_STORE": "memory"}


def settings(**environment: str) -> Settings:
    """Return settings from these variables alone."""
    return load_settings(environment={**KEY, **environment})


@asynccontextmanager
async def connected(
    contit: httpx.AsyncBaseTransport,
    *,
    era: str = "legacy",
    host: str | None = None,
    configured: Settings | None = None,
    extensions: Sequence[ClientExtension] = (),
    probe: bool = False,
) -> AsyncIterator[tuple[Client, AppContext]]:
    """Yield a client that is connected to a server of its own, and the server's context."""
    info = Implementation(name=host, version="1.2.3") if host else None
    context = AppContext(configured or settings(), transport=contit, store=MemoryRunStore(now=wall_clock))
    server = create_server(context, probe=probe)
    async with context, Client(server, mode=era, client_info=info, extensions=extensions) as client:
        yield client, context


async def call(client: Client, tool: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], bool]:
    """Call a tool; return its structure, checked against the schema, its texts, and whether it is an error."""
    result = await client.call_tool(tool, dict(arguments))
    assert isinstance(result, CallToolResult)
    jsonschema.validate(result.structured_content, OUTPUT_SCHEMA)
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    assert len(texts) == len(result.content)
    return dict(result.structured_content or {}), texts, bool(result.is_error)


def ids_of(structure: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids in a result, as arguments for the next call."""
    return {name: structure[name] for name in ("thread_id", "run_id") if name in structure}


def lines(logged: io.StringIO, event: str) -> list[dict[str, Any]]:
    """Return the fields of each line that was logged for an event."""
    return [line for line in map(json.loads, logged.getvalue().splitlines()) if line["event"] == event]


Requests = Sequence[tuple[str, dict[str, Any]]]


async def messages_written(
    era: str, capabilities: dict[str, Any], requests: Requests, contit: httpx.AsyncBaseTransport, configured: Settings
) -> list[str]:
    """Return every message, as JSON, that a server writes to a client with these capabilities and requests."""
    info = {"name": "a-host", "version": "1"}
    first: tuple[str, dict[str, Any]] = ("server/discover", {})
    envelope: dict[str, Any] = {PROTOCOL_VERSION_META_KEY: "2026-07-28", CLIENT_INFO_META_KEY: info}
    envelope[CLIENT_CAPABILITIES_META_KEY] = capabilities
    if era == "legacy":
        first = "initialize", {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info}
        envelope = {}
    written: list[str] = []
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    async with AppContext(configured, transport=contit) as context, anyio.create_task_group() as tasks, from_server:
        server = create_server(context)
        tasks.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
        async with to_server:
            for number, (method, params) in enumerate([first, *requests]):
                meta = params.get("_meta", {}) | envelope
                message = JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params={**params, "_meta": meta})
                await to_server.send(SessionMessage(message))
                answer = None
                while getattr(answer, "id", None) != number:
                    answer = (await from_server.receive()).message
                    written.append(answer.model_dump_json(by_alias=True, exclude_unset=True))
    return written

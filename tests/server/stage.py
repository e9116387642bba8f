"""The MCP server in memory, behind the SDK's own client, on a Contit of the test's choice."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from mcp.client import Client
from mcp.client.extension import ClientExtension
from mcp_types import CallToolResult, Implementation, RequestParamsMeta, TextContent

from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import load_settings
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.server.context import AppContext
from contit_mcp.server.server import create_server
from tests.stage import wall_clock

ERAS = ("legacy", "auto")
"""The handshake up to 2025-11-25, and the stateless protocol 2026-07-28 that `auto` finds by `server/discover`."""

WANTS_PROGRESS: RequestParamsMeta = {"progress_token": "in memory"}
"""What the client's callback becomes on a real connection; in memory, the SDK's newer era sends no token."""

KEY = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_BASE_URL": "http://localhost", "CONTIT_MCP_STORE": "memory"}


def settings(**environment: str) -> Settings:
    """Settings from an environment of the test's own."""
    return load_settings(environment={**KEY, **environment})


@asynccontextmanager
async def connected(
    contit: httpx.AsyncBaseTransport,
    *,
    era: str = "legacy",
    host: str | None = None,
    configured: Settings | None = None,
    extensions: Sequence[ClientExtension] = (),
) -> AsyncIterator[tuple[Client, AppContext]]:
    """A client that has connected to a server of its own."""
    info = Implementation(name=host, version="1.2.3") if host else None
    async with (
        AppContext(configured or settings(), transport=contit, store=MemoryRunStore(now=wall_clock)) as context,
        Client(create_server(context), mode=era, client_info=info, extensions=extensions) as client,
    ):
        yield client, context


async def call(client: Client, tool: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], bool]:
    """Call a tool: its structure, its text blocks, and whether it is an error."""
    result = await client.call_tool(tool, dict(arguments))
    assert isinstance(result, CallToolResult)
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    assert len(texts) == len(result.content)
    return dict(result.structured_content or {}), texts, bool(result.is_error)

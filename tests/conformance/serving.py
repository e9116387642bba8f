"""Serves an SDK server of the conformance suite's fixtures on our HTTP stack, on a free port, as `contit-mcp http` does."""

import os
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from contit_mcp.config.sources import load_settings
from contit_mcp.http.app import wired_app
from contit_mcp.http.serve import listen

_ENVIRONMENT = {
    "CONTIT_API_KEY": "key",
    "CONTIT_MCP_PORT": "0",
    "CONTIT_MCP_STORE": "memory",
    "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000",
}


async def serve_fixtures(server: MCPServer[Any]) -> None:
    """Serve until a signal comes."""
    given = {name: value for name, value in os.environ.items() if name.startswith("CONTIT_")}
    settings = load_settings(environment=_ENVIRONMENT | given)
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server.streamable_http_app(stateless_http=True, transport_security=unchecked)
    async with wired_app(settings, sessions=server.session_manager) as wired:
        await listen(wired, settings)

"""The tools, prompts and resources that the conformance suite calls, on our HTTP stack: run it as a module."""

import sys
from typing import Any

import anyio
from mcp.server.mcpserver import MCPServer

from contit_mcp.telemetry.logging import configure_logging
from tests.conformance import fixture_contents, fixture_inputs, fixture_tools
from tests.conformance.serving import serve_fixtures


def create_fixture_server() -> MCPServer[Any]:
    """Return a server with everything that the suite asks for."""
    server: MCPServer[Any] = MCPServer(name="fixtures", version="1")
    for fixtures in (fixture_tools, fixture_inputs, fixture_contents):
        fixtures.register(server)
    return server


if __name__ == "__main__":
    configure_logging("WARNING" if "--quiet" in sys.argv else "INFO")
    anyio.run(serve_fixtures, create_fixture_server())

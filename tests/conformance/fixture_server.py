"""`contit-mcp http --sandbox` whose server also has what the conformance suite calls: run it as a module.

Everything around the server is ours and as in production: the command's wiring, the settings, the middleware, the
transport. What the suite calls goes the SDK's way; our four tools go ours.
"""

import sys
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, InputRequiredResult

from contit_mcp.cli.http import serve
from contit_mcp.cli.options import GivenOptions
from contit_mcp.http.deployment import refuse_unsafe
from contit_mcp.server.context import AppContext
from contit_mcp.server.server import create_server
from tests.conformance import fixture_contents, fixture_inputs, fixture_tools


class FixtureServer(ContitServer):
    """Ours, and the fixtures."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call one of our tools our way, any other the SDK's way."""
        if name in self._tools:
            return await super().call_tool(name, arguments, context)
        return await MCPServer.call_tool(self, name, arguments, context)


def create_fixture_server(context: AppContext) -> ContitServer:
    """Our server with everything that the suite asks for."""
    server = create_server(context, FixtureServer)
    for fixtures in (fixture_tools, fixture_inputs, fixture_contents):
        fixtures.register(server)
    return server


if __name__ == "__main__":
    given = GivenOptions(config=None, base_url=None, log_level="WARNING" if "--quiet" in sys.argv else "INFO")
    settings = given.load(sandbox=True, port=0)
    refuse_unsafe(settings, sandbox=True)
    anyio.run(serve, settings, True, create_fixture_server)

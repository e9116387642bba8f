"""Serves the suite's fixtures with our HTTP stack, on a free port; run it as a module."""

import os

import anyio
from mcp.server.transport_security import TransportSecuritySettings

from contit_mcp.config.sources import load_settings
from contit_mcp.http.app import wired_app
from contit_mcp.http.serve import listen
from contit_mcp.telemetry.logging import configure_logging
from tests.conformance.fixtures import register, schema_tool
from tests.conformance.jobs import Jobs, create_tasks_server


async def main() -> None:
    """Serve everything that the suite asks for until a signal comes, as `contit-mcp http` does."""
    given = {name: value for name, value in os.environ.items() if name.startswith("CONTIT_")}
    settings = load_settings(environment={"CONTIT_API_KEY": "key", "CONTIT_MCP_PORT": "0", **given})
    async with anyio.create_task_group() as background:
        server = create_tasks_server(Jobs(background), schema_tool())
        register(server)
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        server.streamable_http_app(stateless_http=True, transport_security=unchecked)
        async with wired_app(settings, sessions=server.session_manager) as wired:
            await listen(wired, settings)
        background.cancel_scope.cancel()


if __name__ == "__main__":
    configure_logging("INFO")
    anyio.run(main)

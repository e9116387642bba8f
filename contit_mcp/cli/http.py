"""contit-mcp http: MCP over Streamable HTTP, for many callers."""

import importlib.util
from collections.abc import Callable
from functools import partial

import anyio
import click

from contit_mcp.cli.options import probe_option, settings_options
from contit_mcp.cli.sandbox_options import SandboxChoice, embedded_sandbox
from contit_mcp.http.app import HttpParts, create_app, create_metrics_app
from contit_mcp.http.deployment import (
    SHARING,
    contit_probe,
    http_policy,
    identification,
    refuse_unsafe,
    request_rate,
)
from contit_mcp.http.operations import Readiness
from contit_mcp.http.serving import serve_http
from contit_mcp.http.tracing import exported_traces
from contit_mcp.server.application import ContitServer, create_server
from contit_mcp.server.bridge import Bridge, open_bridge
from contit_mcp.settings import Settings


@click.command()
@embedded_sandbox
@click.option("--host", help="Address to listen on.  [CONTIT_MCP_HOST]")
@click.option("--port", type=int, help="Port to listen on; 0 for any.  [CONTIT_MCP_PORT]")
@probe_option
@settings_options
def command(settings: Settings, *, sandbox: SandboxChoice | None, probe: bool) -> None:
    """Serve MCP over Streamable HTTP at /mcp.

    On this machine alone by default. For other machines say who may call: CONTIT_MCP_AUTH is token, jwt or caller
    (docs/settings.md). Beside it stand /healthz, /readyz and /metrics. SIGTERM drains: everyone who waits gets a
    handle by which the answer can be had from another replica.

    \b
    Examples:
      contit-mcp http --sandbox --port 8123        try it without an account; Ctrl-C ends it
    """
    refuse_unsafe(settings, sandbox=sandbox is not None)
    uvloop = importlib.util.find_spec("uvloop") is not None
    with exported_traces():
        build = partial(create_server, probe=probe)
        anyio.run(serve, settings, sandbox, build, backend_options={"use_uvloop": uvloop})


async def serve(
    settings: Settings,
    sandbox: SandboxChoice | None,
    build: Callable[[Bridge], ContitServer] = create_server,
) -> None:
    """Serve until a signal asks to stop. `build` makes the server that stands behind it all."""
    transport = sandbox.transport() if sandbox else None
    who = identification(settings)
    parts = HttpParts(Readiness(contit_probe(settings, transport)))
    try:
        async with open_bridge(settings, sharing=SHARING[settings.auth], transport=transport) as bridge:
            bridge.opened()  # imports what the first caller would wait for otherwise
            bridge.on_finished = parts.metrics.count_call
            app = create_app(
                build(bridge),
                bridge,
                parts,
                identify=who.identify,
                rate=request_rate(settings),
                policy=http_policy(settings),
                metadata_routes=who.routes,
            )
            metrics_app = None if settings.metrics_port is None else create_metrics_app(bridge, parts)
            await serve_http(app, settings, bridge, parts, metrics_app=metrics_app)
    finally:
        if who.http is not None:
            await who.http.aclose()

"""contit-mcp http: MCP over Streamable HTTP, for many callers."""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import click
from mcp.server.lowlevel import Server

from contit_mcp.cli.options import probe_option, settings_options
from contit_mcp.cli.sandbox_options import SandboxChoice, embedded_sandbox
from contit_mcp.config.settings import Settings
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
from contit_mcp.http.serve import serve_http
from contit_mcp.runs.opening import schema_version
from contit_mcp.server.context import AppContext, open_context
from contit_mcp.server.server import create_server
from contit_mcp.telemetry.tracing import exported_traces


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
    build: Callable[[AppContext], Server[Any]] = create_server,
) -> None:
    """Serve until a signal asks to stop. `build` makes the server that stands behind it all."""
    transport = sandbox.transport() if sandbox else None
    who = identification(settings)
    parts = HttpParts(Readiness(contit_probe(settings, transport)))
    try:
        async with (
            open_context(
                settings, sharing=SHARING[settings.auth], transport=transport, metrics=parts.metrics
            ) as context,
            anyio.create_task_group() as watchers,
        ):
            context.services()  # imports what the first caller would wait for otherwise
            location = settings.store_location()
            parts.metrics.set_build_info(store=location.kind, schema=schema_version(location))
            watchers.start_soon(context.reachability.watch)
            watchers.start_soon(parts.metrics.watch_event_loop)
            app = create_app(
                build(context),
                context,
                parts,
                identify=who.identify,
                rate=request_rate(settings),
                policy=http_policy(settings),
                metadata_routes=who.routes,
                metrics_here=settings.metrics_port is None,
            )
            metrics_app = None if settings.metrics_port is None else create_metrics_app(parts)
            await serve_http(app, settings, context, parts, metrics_app=metrics_app)
            watchers.cancel_scope.cancel()
    finally:
        if who.http is not None:
            await who.http.aclose()

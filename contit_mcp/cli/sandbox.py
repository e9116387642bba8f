"""contit-mcp sandbox: the local Contit on a port of this machine."""

import logging
import socket

import click
import uvicorn

from contit_mcp.cli.sandbox_options import SandboxChoice, sandbox_options
from contit_mcp.errors import ConfigurationError
from contit_mcp.sandbox.app import ConnectionDropped
from contit_mcp.telemetry.logging import configure_logging

KEEP_ALIVE_SECONDS = 65
"""Longer than contit-mcp keeps an idle connection: on a busy machine it would else be closed as a question is sent on
it, and nobody could know whether that arrived."""


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=8787, show_default=True, help="Port on 127.0.0.1.")
@sandbox_options
def command(port: int, sandbox: SandboxChoice) -> None:
    """Run a local Contit to try and test against.

    \b
    Examples:
      contit-mcp sandbox
      contit-mcp sandbox --port 8788 --run-seconds 20
      contit-mcp sandbox --fault "503 on=start times=2 retry_after=3"
      contit-mcp sandbox --fault "failed on=start times=forever"

    \b
    In another terminal:
      export CONTIT_BASE_URL=http://127.0.0.1:8787 CONTIT_API_KEY=sandbox-key
      contit-mcp check
      contit-mcp ask "How many drafts are there?"
    """
    configure_logging("INFO")
    logging.getLogger("uvicorn.error").addFilter(_was_not_ordered)
    app = sandbox.app()
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as exc:
        raise ConfigurationError(
            f"Port {port} of this machine cannot be listened on: {exc.strerror or type(exc).__name__}.",
            hint="Choose another one with --port.",
        ) from exc
    click.echo(f"The sandbox answers at http://127.0.0.1:{port} to the key sandbox-key. Ctrl-C ends it.", err=True)
    click.echo(f"export CONTIT_BASE_URL=http://127.0.0.1:{port} CONTIT_API_KEY=sandbox-key", err=True)
    with listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS)
        uvicorn.Server(config).run([listener])


def _was_not_ordered(record: logging.LogRecord) -> bool:
    """Return whether an error is anything but a connection that a fault dropped."""
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionDropped))

"""contit-mcp stdio: MCP over stdin and stdout, for one host on this machine."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import click

from contit_mcp.cli.options import probe_option, settings_options
from contit_mcp.cli.sandbox_options import SandboxChoice, embedded_sandbox
from contit_mcp.config.settings import Settings
from contit_mcp.server.context import AppContext, open_context
from contit_mcp.server.server import create_server
from contit_mcp.server.stdio import serve_stdio
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

DRAIN_SECONDS = 1.0
"""How long calls in flight may take to return their handles. Waits end at once; only a start that is being
sent takes longer. Claude Code kills 0.5 s after it asks, other hosts 2 s after."""

EOF_SECONDS = 1.0
"""How long the end may take once the host has closed our stdin."""

READY_AFTER_SECONDS = 0.2
"""After the tools were listed, so that the answer is on its way before the imports take the processor."""


@click.command()
@embedded_sandbox
@probe_option
@settings_options
def command(settings: Settings, *, sandbox: SandboxChoice | None, probe: bool) -> None:
    """Serve MCP over stdin and stdout, for a host on this machine.

    A host starts it; its configuration sets CONTIT_API_KEY. Without a credential it starts all the same,
    lists its tools, and each call says what to set.

    \b
    Examples:
      contit-mcp stdio --sandbox < /dev/null     starts, sees its input end, and leaves
    """
    anyio.run(serve, settings, sandbox, probe)


async def serve(settings: Settings, sandbox: SandboxChoice | None, probe: bool) -> None:  # noqa: FBT001 - anyio.run passes by position
    """Serve until stdin ends or a signal asks to stop."""
    transport = sandbox.transport() if sandbox else None
    async with open_context(settings, transport=transport) as context, _leaving(context) as stdin_ended:
        server = create_server(context, probe=probe)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_get_ready, context)
            await serve_stdio(server, stdin_ended=stdin_ended)
            tasks.cancel_scope.cancel()


async def _get_ready(context: AppContext) -> None:
    """Import what the first call needs once the tools are listed: hosts list them and then wait for their users."""
    listed = anyio.Event()
    context.on_listed = listed.set
    await listed.wait()
    await anyio.sleep(READY_AFTER_SECONDS)
    await anyio.to_thread.run_sync(context.services, abandon_on_cancel=True)


@asynccontextmanager
async def _leaving(context: AppContext) -> AsyncIterator[anyio.Event]:
    """While inside, a signal lets every call return its handle and then ends the process.

    Yields the event that says that stdin has ended: then the process leaves even if a call does not stop in time.
    """
    stdin_ended = anyio.Event()

    async def on_signal() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for received in signals:
                log.info("server.stopping", cause=received.name, calls_in_flight=context.calls_in_flight)
                context.close()
                with anyio.move_on_after(DRAIN_SECONDS):
                    while context.calls_in_flight:
                        await anyio.sleep(0.01)
                    await anyio.sleep(0.1)  # the last results are on their way through the writer
                _exit_now()

    async def on_eof() -> None:
        await stdin_ended.wait()
        log.debug("server.stopping", cause="stdin ended")
        await anyio.sleep(EOF_SECONDS)
        _exit_now()

    async with anyio.create_task_group() as tasks:
        if sys.platform != "win32":
            tasks.start_soon(on_signal)
        tasks.start_soon(on_eof)
        yield stdin_ended
        tasks.cancel_scope.cancel()


def _exit_now() -> None:
    """End the process although a thread still waits for stdin, which no exception can wake."""
    sys.stderr.flush()
    os._exit(0)

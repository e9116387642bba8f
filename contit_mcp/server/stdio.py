"""MCP over stdin and stdout, telling when stdin has ended."""

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from contit_mcp.server.application import ContitServer
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)


async def serve_stdio(server: ContitServer, *, stdin_ended: anyio.Event) -> None:
    """Serve until stdin ends.

    Args:
        server: The server.
        stdin_ended: Set at once when the host closes our stdin, while calls may still be stopping.
    """
    async with stdio_server() as (read_stream, write_stream), anyio.create_task_group() as tasks:
        sender, receiver = anyio.create_memory_object_stream[SessionMessage | Exception](0)

        async def relay(to: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
            async with to, read_stream:
                async for message in read_stream:
                    if isinstance(message, Exception):  # the protocol has no answer without an id; the log has
                        log.warning("stdio.unreadable_line", error=type(message).__name__)
                    await to.send(message)
                stdin_ended.set()

        tasks.start_soon(relay, sender)
        await server.protocol.run(receiver, write_stream, server.protocol.create_initialization_options())
        tasks.cancel_scope.cancel()

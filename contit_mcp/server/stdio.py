"""MCP over stdin and stdout: every line that can be answered is answered, and the end of stdin is reported."""

import json
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
import anyio.to_thread
import mcp_types as types
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

LONGEST_LINE = 1_048_576
"""Characters of a message; the longest prompt, every character escaped, takes a fifth of it."""


async def serve_stdio(server: Server[Any], *, stdin_ended: anyio.Event) -> None:
    """Serve until stdin ends. `stdin_ended` is set at once then, while calls may still be stopping."""
    lines = _Lines()
    async with (
        stdio_server(stdin=cast("anyio.AsyncFile[str]", lines)) as (read_stream, write_stream),
        anyio.create_task_group() as tasks,
    ):
        sender, receiver = anyio.create_memory_object_stream[SessionMessage | Exception](0)

        async def relay(to: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
            """Pass messages on, and answer other lines. The stream has no buffer, so `lines.last` is the line."""
            async with to, read_stream:
                async for message in read_stream:
                    if (problem := problem_of(lines.last, message, cut=lines.last_was_cut)) is None:
                        assert isinstance(message, SessionMessage)  # noqa: S101 - problem_of has a problem otherwise
                        await to.send(message)
                    else:
                        log.warning("stdio.unreadable_line", problem=problem.error.message)
                        await write_stream.send(SessionMessage(problem))
                stdin_ended.set()

        tasks.start_soon(relay, sender)
        await server.run(receiver, write_stream, server.create_initialization_options())
        tasks.cancel_scope.cancel()


class _Lines:
    """The lines of stdin; an over-long line is cut, which makes it unreadable, and the rest of it is skipped."""

    def __init__(self) -> None:
        self.last = ""
        self.last_was_cut = False

    async def __aiter__(self) -> AsyncIterator[str]:
        while line := await anyio.to_thread.run_sync(self._read, abandon_on_cancel=True):
            self.last = line
            if line.strip():
                yield line

    def _read(self) -> str:
        stdin = sys.stdin.buffer
        line = stdin.readline(LONGEST_LINE)
        rest = line
        self.last_was_cut = len(line) == LONGEST_LINE and not line.endswith(b"\n")
        while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
            rest = stdin.readline(LONGEST_LINE)
        return line.decode("utf-8", errors="replace")


def problem_of(line: str, message: SessionMessage | Exception, *, cut: bool) -> types.JSONRPCError | None:
    """Return the error that answers a line, or None if the line is a message. A line that is `cut` is not all there.

    `message` is what the SDK made of the line. It takes a request with an odd id for a notification.
    """
    is_message = isinstance(message, SessionMessage)
    if isinstance(message, SessionMessage) and not isinstance(message.message, types.JSONRPCNotification):
        return None
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        body = None
    if is_message and "id" not in body:
        return None
    request_id = body.get("id") if isinstance(body, dict) else None
    if isinstance(request_id, bool) or not isinstance(request_id, str | int) or not _is_text(request_id):
        request_id = None
    if is_message:
        code, text = types.INVALID_REQUEST, "The id of a request must be a string or a whole number."
    elif cut:
        code, text = types.INVALID_REQUEST, f"The message is longer than {LONGEST_LINE} bytes."
    elif body is None and line.strip() != "null":
        code, text = types.PARSE_ERROR, "The line is not JSON."
    elif not _is_text(body):
        code, text = types.PARSE_ERROR, "The message contains a lone surrogate, which is not a character."
    else:
        code, text = types.INVALID_REQUEST, "The message is not one JSON-RPC 2.0 request or notification."
    return types.JSONRPCError(jsonrpc="2.0", id=request_id, error=types.ErrorData(code=code, message=text))


def _is_text(value: object) -> bool:
    """Return whether a JSON value can be written as UTF-8: JSON can escape lone surrogates."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True

"""MCP over stdin and stdout: every line that can be answered is answered, and the end of stdin is reported."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from pydantic import TypeAdapter

from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

LONGEST_LINE = 1_048_576  # bytes of a message; the longest prompt, every character escaped, takes two fifths of it
_ID: TypeAdapter[types.RequestId] = TypeAdapter(types.RequestId)


async def serve_stdio(server: Server[Any], *, stdin_ended: anyio.Event) -> None:
    """Serve until stdin ends. `stdin_ended` is set at once then, while calls may still be stopping."""

    async def messages() -> AsyncIterator[str]:
        while line := await anyio.to_thread.run_sync(_read_line, abandon_on_cancel=True):
            text = line.decode("utf-8", errors="replace")
            problem = problem_of(text, size=len(line)) if text.strip() else None
            if problem is not None:
                log.warning("stdio.unreadable_line", problem=problem.error.message)
                await writer.send(SessionMessage(problem))
            elif text.strip():
                yield text
        stdin_ended.set()

    async with stdio_server(stdin=cast("anyio.AsyncFile[str]", messages())) as (reader, writer):  # iterated only
        await server.run(reader, writer, server.create_initialization_options())


def _read_line() -> bytes:
    """Return the next line of stdin. An over-long line is cut, which makes it unreadable; its rest is skipped."""
    line = rest = sys.stdin.buffer.readline(LONGEST_LINE)
    while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
        rest = sys.stdin.buffer.readline(LONGEST_LINE)
    return line


def problem_of(line: str, *, size: int) -> types.JSONRPCError | None:
    """Return the error that answers a line of `size` bytes; None for a message that can be handled."""
    is_notification = False
    with suppress(ValueError):
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        is_notification = isinstance(message, types.JSONRPCNotification)
        if not is_notification:
            return None
    code, text = types.INVALID_REQUEST, "The message is not one JSON-RPC 2.0 request or notification."
    body: Any = None
    try:
        body = json.loads(line)
        json.dumps(body, ensure_ascii=False).encode()  # JSON can escape lone surrogates
    except (ValueError, RecursionError):
        code, text = types.PARSE_ERROR, "The line is not JSON with whole characters."
    if is_notification:  # the adapter takes a request whose id has another type for a notification
        if "id" not in body:
            return None
        text = "The id of a request must be a string or a whole number."
    if size >= LONGEST_LINE:
        code, text = types.INVALID_REQUEST, f"The message is longer than {LONGEST_LINE} bytes."
    request_id = None
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        request_id = _ID.validate_json(json.dumps(body["id"]))
    return types.JSONRPCError(jsonrpc="2.0", id=request_id, error=types.ErrorData(code=code, message=text))

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

from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

LONGEST_LINE = 1_048_576
"""Bytes of a message; the longest prompt, every character escaped, takes a fifth of it."""


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

    async with stdio_server(stdin=cast("anyio.AsyncFile[str]", messages())) as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


def _read_line() -> bytes:
    """Return the next line of stdin. An over-long line is cut, which makes it unreadable; its rest is skipped."""
    line = rest = sys.stdin.buffer.readline(LONGEST_LINE)
    while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
        rest = sys.stdin.buffer.readline(LONGEST_LINE)
    return line


def problem_of(line: str, *, size: int) -> types.JSONRPCError | None:
    """Return the error that answers a line of `size` bytes, or None if it is a message."""
    is_notification = False
    with suppress(ValueError):
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        is_notification = isinstance(message, types.JSONRPCNotification)
        if not is_notification:
            return None
    body: Any = None
    with suppress(ValueError, RecursionError):
        body = json.loads(line)
    request_id = body.get("id") if isinstance(body, dict) else None
    if is_notification and "id" not in body:
        return None
    if isinstance(request_id, bool) or not isinstance(request_id, str | int) or not _is_text(request_id):
        request_id = None
    code, text = types.INVALID_REQUEST, "The message is not one JSON-RPC 2.0 request or notification."
    if is_notification:  # the adapter takes a request with an odd id for one
        text = "The id of a request must be a string or a whole number."
    elif size >= LONGEST_LINE:
        text = f"The message is longer than {LONGEST_LINE} bytes."
    elif body is None and line.strip() != "null":
        code, text = types.PARSE_ERROR, "The line is not JSON."
    elif not _is_text(body):
        code, text = types.PARSE_ERROR, "The message contains a lone surrogate, which is not a character."
    return types.JSONRPCError(jsonrpc="2.0", id=request_id, error=types.ErrorData(code=code, message=text))


def _is_text(value: object) -> bool:
    """Return whether a JSON value can be written as UTF-8: JSON can escape lone surrogates."""
    with suppress(UnicodeEncodeError, RecursionError):
        return bool(json.dumps(value, ensure_ascii=False).encode())
    return False

"""Reads a request's body before anything works on it: at most so large, so deep, and in so much time."""

import re

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.http.refusals import Refusal

BODY_SECONDS = 15.0
"""For the whole body. A megabyte in that time is slower than any line a server is called over."""

DEEPEST = 64
"""Levels of lists and objects within each other. Ours need six."""

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class BodyLimits:
    """ASGI middleware; what is behind it gets the whole body at once.

    Args:
        app: What is behind it.
        largest: In bytes.
        seconds: For the whole body.
    """

    def __init__(self, app: ASGIApp, *, largest: int, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._largest = largest
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        if not _is_json(scope):
            refusal = Refusal(415, "no_json", "Send JSON, and say so: Content-Type: application/json")
            await refusal.response(scope)(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except ClientDisconnect:
            return  # nobody is there to be answered
        if isinstance(body, Refusal):
            await body.response(scope)(scope, receive, send)
            return
        await self._app(scope, at_once(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | Refusal:
        too_large = Refusal(413, "large_body", f"The request is larger than {self._largest} bytes.")
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared[:20]) > self._largest:
            return too_large
        body = bytearray()
        with anyio.move_on_after(self._seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > self._largest:
                    return too_large
                if not message.get("more_body", False):
                    if not _is_utf8(body):
                        return Refusal(400, "no_utf8", "The request is not UTF-8 text.")
                    if _is_too_deep(bytes(body)):
                        return Refusal(400, "deep_body", f"The JSON is nested deeper than {DEEPEST} levels.")
                    return bytes(body)
        return Refusal(408, "slow_body", f"The request did not arrive within {self._seconds:.0f} s.")


def at_once(body: bytes, receive: Receive) -> Receive:
    """What gives a body that has been read; after it, what comes from the client."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _is_json(scope: Scope) -> bool:
    if scope["method"] != "POST":
        return True
    given = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(given) == 1 and given[0].partition(b";")[0].strip().lower() == b"application/json"


def _is_utf8(body: bytearray) -> bool:
    """As JSON-RPC over MCP must be. Text with zero bytes is UTF-16, which some parsers of JSON take as well."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return 0 not in body


def _is_too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_TEXT.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False

"""Refuse a request: a short JSON body, and the headers that say what to do about it."""

from dataclasses import dataclass, field
from typing import Any

import anyio
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from contit_mcp.server.request_state import request_state

DISCARD_SECONDS = 3.0
DISCARD_BYTES = 16 * 1_048_576
"""Limits for the rest of a refused request that is read and discarded, so that its client can read the answer."""

SERVER_ERROR = -32000
"""JSON-RPC code of a refusal that has no code of its own (JSON-RPC 2.0, 5.1)."""


class RefusalResponse(JSONResponse):
    """A response to a request whose body may not have been read.

    Most clients send the whole request before they read the answer. If the connection is closed while they send, they
    see a broken connection instead of the answer.
    """

    body_is_read = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Discard the rest of the request within limits, then answer. Close the connection if something is left."""
        if not self.body_is_read and not await _discard(scope, receive):
            self.headers["Connection"] = "close"
        await super().__call__(scope, receive, send)


async def _discard(scope: Scope, receive: Receive) -> bool:
    """Return whether the request ended."""
    if (b"expect", b"100-continue") in scope["headers"]:
        return False  # the client has sent nothing yet and waits for the answer
    size = 0
    with anyio.move_on_after(DISCARD_SECONDS):
        while size <= DISCARD_BYTES:
            message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                return True
    return False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        status: HTTP status.
        reason: One word for logs and metrics.
        message: What happened and what to do now, in one line.
        headers: Further headers.
        fields: Further fields of the body.
        code: JSON-RPC error code, for a request that has passed authentication.
    """

    status: int
    reason: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    code: int = SERVER_ERROR

    def response(self, scope: Scope) -> JSONResponse:
        """Return the response to a request that nobody has looked into."""
        request_state(scope).refusal = self.reason
        body = {"error": self.reason, "error_description": self.message, **self.fields}
        return RefusalResponse(body, self.status, self.headers)

    def rpc_response(self, scope: Scope, request_id: str | int | None = None, *, body_is_read: bool) -> JSONResponse:
        """Return the response as a JSON-RPC error, which clients show to their users.

        Args:
            scope: The request.
            request_id: Its JSON-RPC id, if it could be read.
            body_is_read: Whether the request has been received to its end.
        """
        request_state(scope).refusal = self.reason
        error = {"code": self.code, "message": self.message, "data": {"reason": self.reason, **self.fields}}
        response = RefusalResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, self.status, self.headers)
        response.body_is_read = body_is_read
        return response


def too_many(reason: str, message: str, *, status: int = 429, retry_after: int) -> Refusal:
    """Return a refusal that ends by itself after some seconds."""
    return Refusal(status, reason, message, {"Retry-After": str(retry_after)}, {"retry_after": retry_after})

"""Refusing a request: one short JSON body, and the headers that say what to do about it."""

from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

from contit_mcp.server.request_state import request_state


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        status: HTTP status.
        reason: One word for logs and metrics.
        message: What happened and what to do now, in one line.
        headers: Further headers.
        fields: Further fields of the body.
    """

    status: int
    reason: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)

    def response(self, scope: Scope) -> JSONResponse:
        """The response; whatever is left of the request is not read, so the connection closes."""
        request_state(scope).refusal = self.reason
        body = {"error": self.reason, "error_description": self.message, **self.fields}
        return JSONResponse(body, self.status, {**self.headers, "Connection": "close"})


def too_many(reason: str, message: str, *, status: int = 429, retry_after: int) -> Refusal:
    """A refusal that passes by itself."""
    return Refusal(status, reason, message, {"Retry-After": str(retry_after)})

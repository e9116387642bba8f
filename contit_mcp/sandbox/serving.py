"""Serves one endpoint: decides which fault the request meets, answers accordingly, and records it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from contit_mcp.sandbox.bodies import BodyTooLargeError
from contit_mcp.sandbox.connection import drop
from contit_mcp.sandbox.errors import problem
from contit_mcp.sandbox.fault_plan import FaultPlan, fault_in_header
from contit_mcp.sandbox.record import SandboxRecord, SeenRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from contit_mcp.sandbox.faults import Endpoint, Fault

FAULT_HEADER: Final = "x-sandbox-fault"
"""The request header that orders a fault for its own request."""

_PAGE: Final = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


@dataclass(frozen=True)
class Served:
    """One endpoint as an ASGI application, with its faults."""

    endpoint: Endpoint
    handler: Callable[[Request, Fault | None], Awaitable[Response]]
    plan: FaultPlan
    record: SandboxRecord
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or drop its connection."""
        request = Request(scope, receive)
        at = self.clock()
        fault: Fault | None = None
        response: Response | None
        try:
            fault = self._fault(request)
        except ValueError as exc:
            response = problem(400, f"X-Sandbox-Fault: {exc}")
        else:
            response = await self._answer(request, fault)
        self._note(request, at, fault, response)
        if response is None:
            await drop(receive)
        else:
            await response(scope, receive, send)

    def _fault(self, request: Request) -> Fault | None:
        ordered = request.headers.get(FAULT_HEADER)
        fault = fault_in_header(ordered, self.endpoint) if ordered else None
        return fault or self.plan.next_for(self.endpoint)

    async def _answer(self, request: Request, fault: Fault | None) -> Response | None:
        """Return the answer; None: drop the connection."""
        if fault and fault.kind == "drop-before":
            return None
        if fault and (instead := _instead(fault)):
            return instead
        response = await self._handled(request, fault)
        if fault is None:
            return response
        if fault.seconds is not None and (fault.kind == "delay" or self.endpoint != "start"):
            await self.sleep(fault.seconds)
        return None if fault.kind == "drop-after" else _damaged(fault, response)

    async def _handled(self, request: Request, fault: Fault | None) -> Response:
        try:
            return await self.handler(request, fault)
        except BodyTooLargeError:
            return problem(413, "The body is over 1 MiB.", {"Connection": "close"})

    def _note(self, request: Request, at: float, fault: Fault | None, response: Response | None) -> None:
        status = response.status_code if response else None
        self.record.note(SeenRequest(request.method, raw_path(request), self.endpoint, status, at, fault))


def raw_path(request: Request) -> str:
    """Return the path as it was sent, without the query string."""
    path = request.scope.get("raw_path") or request.url.path.encode()
    return bytes(path).decode("ascii", "replace")


def _instead(fault: Fault) -> Response | None:
    """Return the answer a fault gives in place of doing anything."""
    if fault.status is not None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else None
        return problem(fault.status, "A fault of the sandbox, as ordered.", headers)
    match fault.kind:
        case "redirect":
            return RedirectResponse("https://elsewhere.invalid/login", 302)
        case "html":
            return HTMLResponse(_PAGE.format("Please sign in"))
        case "html-error":
            return HTMLResponse(_PAGE.format("502 Bad Gateway"), 502)
        case _:
            return None


def _damaged(fault: Fault, response: Response) -> Response:
    """Return the answer to a request that took effect as its fault leaves it."""
    match fault.kind:
        case "empty":
            return Response(b"", media_type="application/json")
        case "malformed":
            return Response(b'{"threadId": "thread_', media_type="application/json")
        case "missing-field":
            return Response(b"{}", media_type="application/json")
        case _:
            return response

"""Puts a sandbox together: the AI-assistant endpoints and the token endpoint as one ASGI application."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from contit_mcp.sandbox.assistant.conversation import Assistant
from contit_mcp.sandbox.credentials import Credentials
from contit_mcp.sandbox.endpoints import Endpoints
from contit_mcp.sandbox.errors import problem
from contit_mcp.sandbox.fault_plan import FaultPlan
from contit_mcp.sandbox.options import DEFAULTS, SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord, SeenRequest
from contit_mcp.sandbox.serving import Served, raw_path
from contit_mcp.sandbox.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from contit_mcp.sandbox.faults import Endpoint, Fault


def _random_id() -> str:
    return secrets.token_hex(12)


def create_sandbox(
    options: SandboxOptions = DEFAULTS,
    *,
    clock: Callable[[], float] = time.monotonic,
    new_id: Callable[[], str] = _random_id,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Starlette:
    """Make a local Contit; what it has seen, and the way to add faults, is at `app.state.sandbox`.

    That attribute is a `SandboxRecord`. `clock` gives seconds; runs and tokens end by it. `new_id` gives the
    part of an id after "thread_" or "run_". `sleep` serves the faults that delay an answer, nothing else.
    """
    threads = Threads(clock, new_id)
    plan = FaultPlan.of(options.faults)
    record = SandboxRecord(plan, threads)
    endpoints = Endpoints(options, Credentials(options, clock, new_id), threads, Assistant(options.today))

    def route(
        method: str,
        path: str,
        endpoint: Endpoint,
        handler: Callable[[Request, Fault | None], Awaitable[Response]],
    ) -> Route:
        return Route(path, Served(endpoint, handler, plan, record, clock, sleep), methods=[method], name=endpoint)

    async def elsewhere(request: Request, exc: Exception) -> Response:
        status = exc.status_code if isinstance(exc, HTTPException) else 500
        record.note(SeenRequest(request.method, raw_path(request), "other", status, clock()))
        return problem(status, "The sandbox knows the AI assistant's three endpoints and /connect/token.")

    app = Starlette(
        routes=[
            route("POST", "/ai-assistant/thread", "start", endpoints.start),
            route("GET", "/ai-assistant/thread/{thread_id}/run/{run_id}/status", "status", endpoints.status),
            route("GET", "/ai-assistant/thread/{thread_id}/response", "response", endpoints.response),
            route("POST", "/connect/token", "token", endpoints.token),
        ],
        exception_handlers={HTTPException: elsewhere},
    )
    app.state.sandbox = record
    return app

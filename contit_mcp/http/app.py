"""Build the ASGI application: from the headers of a request to the tools."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.http.auth import Authentication, Identify
from contit_mcp.http.guard import GuardPolicy, HeaderGuard, RequestGuard, RequestRate
from contit_mcp.http.operations import Readiness, health_routes, metrics_route
from contit_mcp.http.refusals import Refusal
from contit_mcp.http.requests import InFlight, Requests
from contit_mcp.http.server_card import discovery_routes
from contit_mcp.server.card import SESSION_HEADER, session_id_for
from contit_mcp.server.context import AppContext
from contit_mcp.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class HttpParts:
    """State that the application shares with the function that serves it."""

    readiness: Readiness
    in_flight: InFlight = field(default_factory=InFlight)
    metrics: Metrics = field(default_factory=Metrics)


def create_app(
    sessions: StreamableHTTPSessionManager,
    context: AppContext,
    parts: HttpParts,
    *,
    identify: Identify,
    rate: RequestRate,
    policy: GuardPolicy,
    metadata_routes: list[Route] | None = None,
    metrics_here: bool = True,
) -> ASGIApp:
    """Return the application.

    Args:
        sessions: Serves the MCP server, from `create_sessions`.
        context: The state of the tools.
        parts: State that is shared with the function that serves the application.
        identify: Returns the caller of a request.
        rate: Requests of one caller per minute.
        policy: What is let in, and how much of it.
        metadata_routes: Where clients learn how to get a token (RFC 9728).
        metrics_here: Whether `/metrics` is on this address too.
    """
    handle = _with_card_sessions(sessions.handle_request) if context.settings.card else sessions.handle_request
    tools: ASGIApp = RequestGuard(handle, policy, rate, parts.in_flight)
    tools = HeaderGuard(_with_cors(Authentication(tools, identify), policy.origins), policy)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sessions.run():
            yield

    parts.metrics.most_under_way.set(policy.at_once)
    _read_states(context, parts, rate)
    routes = [
        Route("/mcp", tools),
        Route("/mcp/", tools),
        *discovery_routes(context.settings),
        *health_routes(parts.readiness),
        *(metadata_routes or []),
        *([metrics_route(parts.metrics, parts.readiness)] * metrics_here),
    ]
    around = [Middleware(Requests, count=parts.metrics.count_request, send_seconds=policy.send_seconds)]
    app = Starlette(
        routes=routes, middleware=around, lifespan=lifespan, exception_handlers={HTTPException: _short_error}
    )
    # Behind a proxy a redirect would lead from https to http, and the credential with it.
    app.router.redirect_slashes = False
    return app


def create_sessions(server: Server[Any], policy: GuardPolicy) -> StreamableHTTPSessionManager:
    """Return the SDK's Streamable HTTP for a server: stateless, and with event streams.

    With plain JSON no progress arrives, and a silent call ends at its client's read timeout. `HeaderGuard` checks Host
    and Origin: unlike the SDK, it can also allow any Host.
    """
    return StreamableHTTPSessionManager(
        server,
        stateless=True,
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=policy.largest_body,
    )


async def _short_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    if error.status_code == 404:
        message = "This server speaks MCP at /mcp, over Streamable HTTP."
        if request.url.path.rstrip("/") in {"/sse", "/messages", "/message"}:
            message += " It does not serve the older HTTP+SSE transport; set the host's entry to type http and to /mcp."
        return Refusal(404, "not_found", message).response(request.scope)
    return Refusal(error.status_code, "refused", error.detail, dict(error.headers or {})).response(request.scope)


def create_metrics_app(parts: HttpParts) -> ASGIApp:
    """Return an application with `/metrics` and the probes, for an address of its own."""
    return Starlette(routes=[metrics_route(parts.metrics, parts.readiness), *health_routes(parts.readiness)])


def _read_states(context: AppContext, parts: HttpParts, rate: RequestRate) -> None:
    """Let each scrape read the states that are not told by events."""
    metrics, reachability = parts.metrics, context.reachability
    metrics.calls_in_flight.set_function(lambda: context.calls_in_flight)
    metrics.under_way.labels("call").set_function(lambda: len(parts.in_flight))
    metrics.reachable.set_function(lambda: reachability.reachable)
    metrics.upstream_in_flight.set_function(lambda: reachability.in_flight)
    metrics.upstream_oldest.set_function(lambda: reachability.oldest_seconds)
    metrics.backoff.set_function(lambda: context.services().backoff_stretch())
    metrics.limits_local.set_function(lambda: rate.local_only)


def _with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Answer the preflights of browsers, which carry no credential, for the origins that `HeaderGuard` lets pass."""
    origins = [origin.lower() for origin in origins]  # as browsers write them; they are compared as they are
    return CORSMiddleware(
        app,
        allow_origins=[origin for origin in origins if not origin.endswith(":*")],
        allow_origin_regex="|".join(re.escape(o[:-2]) + r":\d+" for o in origins if o.endswith(":*")) or None,
        allow_methods=["POST"],
        allow_headers=[
            "Authorization", "Content-Type", "X-Api-Key", "Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method",
            "Mcp-Name", "Last-Event-Id", "Traceparent", "Tracestate",
        ],
        expose_headers=["WWW-Authenticate", "Retry-After", SESSION_HEADER],
        max_age=600,
    )  # fmt: skip


def _with_card_sessions(app: ASGIApp) -> ASGIApp:
    """Add a session id to the response of an `initialize` that declares cards. The guard passes on whole bodies."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        first: list[Message] = [await receive()]
        session_id = session_id_for(first[0].get("body", b""))

        async def again() -> Message:
            return first.pop() if first else await receive()

        async def send_with_id(message: Message) -> None:
            if session_id is not None and message["type"] == "http.response.start":
                header = (SESSION_HEADER.lower().encode(), session_id.encode())
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        await app(scope, again, send_with_id)

    return serve

"""Puts the HTTP server together: one ASGI application, from the request's headers to the tools."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from contit_mcp.http.auth import Authentication, Identify
from contit_mcp.http.bodies import BODY_SECONDS, BodyLimits
from contit_mcp.http.exchanges import Exchanges
from contit_mcp.http.gate import Gate, GatePolicy
from contit_mcp.http.limits import Limits, RequestRate
from contit_mcp.http.operations import Readiness, health_routes, metrics_route
from contit_mcp.http.refusals import Refusal
from contit_mcp.http.requests import Requests, Streams
from contit_mcp.http.turns import Turns
from contit_mcp.server.application import ContitServer
from contit_mcp.server.bridge import Bridge
from contit_mcp.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """How much is let in.

    Attributes:
        gate: Hosts and origins.
        largest_body: In bytes.
        body_seconds: For a request's body.
        per_caller: Requests of one caller at once.
        at_once: Requests of all callers at once.
        metrics_here: Whether `/metrics` is on this address too.
    """

    gate: GatePolicy = field(default_factory=GatePolicy)
    largest_body: int = 1_048_576
    body_seconds: float = BODY_SECONDS
    per_caller: int = 100
    at_once: int = 2_000
    metrics_here: bool = True


@dataclass(frozen=True, slots=True)
class HttpParts:
    """What the application and whoever serves it share."""

    readiness: Readiness
    streams: Streams = field(default_factory=Streams)
    metrics: Metrics = field(default_factory=Metrics)


def create_app(
    server: ContitServer,
    bridge: Bridge,
    parts: HttpParts,
    *,
    identify: Identify,
    rate: RequestRate,
    policy: HttpPolicy,
    metadata_routes: list[Route] | None = None,
) -> ASGIApp:
    """The application.

    Args:
        server: The tools.
        bridge: What they stand on.
        parts: Shared with whoever serves it.
        identify: Who may call.
        rate: How often.
        policy: How much is let in.
        metadata_routes: What tells clients where to get a token (RFC 9728).
    """
    # Host and Origin are checked by the gate, for which "any Host" can be said too.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    # Event streams: with plain JSON a silent call dies at its client's read timeout, and no progress arrives.
    sessions = StreamableHTTPSessionManager(
        server.protocol, stateless=True, security_settings=unchecked, max_request_body_size=policy.largest_body
    )
    tools: ASGIApp = BodyLimits(Exchanges(sessions), largest=policy.largest_body, seconds=policy.body_seconds)
    tools = Limits(tools, rate, per_caller=policy.per_caller, at_once=policy.at_once)
    tools = Turns(Gate(_with_cors(Authentication(tools, identify), policy.gate.origins), policy.gate))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sessions.run():
            yield

    parts.metrics.most_under_way.set(policy.at_once)
    routes = [
        Route("/mcp", tools),
        *health_routes(parts.readiness),
        *(metadata_routes or []),
        *([_metrics_route(bridge, parts)] * policy.metrics_here),
    ]
    around = [Middleware(Requests, streams=parts.streams, count=parts.metrics.count_request)]
    app = Starlette(
        routes=routes, middleware=around, lifespan=lifespan, exception_handlers={HTTPException: _short_error}
    )
    # Behind a proxy a redirect would lead from https to http, and the credential with it.
    app.router.redirect_slashes = False
    return app


async def _short_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    message = "MCP is at /mcp, without a slash at its end." if error.status_code == 404 else error.detail
    reason = "not_found" if error.status_code == 404 else "refused"
    return Refusal(error.status_code, reason, message, dict(error.headers or {})).response(request.scope)


def create_metrics_app(bridge: Bridge, parts: HttpParts) -> ASGIApp:
    """`/metrics` on an address of its own, and the probes with it."""
    return Starlette(
        routes=[
            _metrics_route(bridge, parts),
            *health_routes(parts.readiness),
        ]
    )


def _metrics_route(bridge: Bridge, parts: HttpParts) -> Route:
    return metrics_route(parts.metrics, parts.readiness, parts.streams, lambda: bridge.calls_in_flight)


def _with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Answers browsers' preflights, which come without a credential, for the origins that the gate lets pass."""
    origins = [origin.lower() for origin in origins]  # as browsers write them; they are compared as they are
    return CORSMiddleware(
        app,
        allow_origins=[origin for origin in origins if not origin.endswith(":*")],
        allow_origin_regex="|".join(re.escape(o[:-2]) + r":\d+" for o in origins if o.endswith(":*")) or None,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=[
            "Authorization", "Content-Type", "X-Api-Key", "Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method",
            "Mcp-Name", "Last-Event-Id", "Traceparent", "Tracestate",
        ],
        expose_headers=["Mcp-Session-Id", "WWW-Authenticate", "Retry-After"],
        max_age=600,
    )  # fmt: skip

"""Build the ASGI application: from the headers of a request to the tools, with the probes and metrics beside them."""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from opentelemetry import context as tracing
from opentelemetry import propagate, trace
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.http.auth import Authentication, Identify
from contit_mcp.http.guard import SEND_SECONDS, GuardPolicy, HeaderGuard, InFlight, Refusal, RequestGuard
from contit_mcp.http.rate import RequestRate
from contit_mcp.http.server_card import discovery_routes
from contit_mcp.server.card import SESSION_HEADER, session_id_for
from contit_mcp.server.context import AppContext
from contit_mcp.server.request_state import request_state
from contit_mcp.telemetry.logging import get_logger
from contit_mcp.telemetry.metrics import Metrics

log = get_logger(__name__)
_tracer = trace.get_tracer("contit_mcp")

PROBE_SECONDS = 10.0
"""How long the result of the last probe of Contit is used."""

PROBES = ("/healthz", "/readyz", "/metrics")
KNOWN_PATHS = ("/mcp", *PROBES)


class Readiness:
    """Whether this server takes calls: after its start and before its drain.

    Args:
        probe: Asks Contit and returns what is wrong; None if readiness does not depend on Contit.
    """

    def __init__(self, probe: Callable[[], Awaitable[str | None]] | None = None) -> None:
        self.serving = False
        self._probe = probe
        self._problem: str | None = None
        self._probed_at = float("-inf")
        self._probing = anyio.Lock()

    def last_known(self) -> bool:
        """Return whether it took calls when it was last asked, without asking Contit."""
        return self.serving and self._problem is None

    async def problem(self) -> str | None:
        """Return why it takes no calls; None if it does."""
        if not self.serving:
            return "not serving: starting or draining"
        if self._probe is None:
            return None
        async with self._probing:
            if anyio.current_time() - self._probed_at >= PROBE_SECONDS:
                self._problem = await self._probe()
                self._probed_at = anyio.current_time()
        return self._problem


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
        sessions: Serves the MCP server, from `create_sessions`; the caller runs it.
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

    parts.metrics.most_under_way.set(policy.at_once)
    _read_states(context, parts, rate)
    routes = [
        Route("/mcp", tools),
        Route("/mcp/", tools),
        *discovery_routes(context.settings),
        *_health_routes(parts.readiness),
        *(metadata_routes or []),
        *([_metrics_route(parts)] * metrics_here),
    ]
    around = [Middleware(Requests, count=parts.metrics.count_request, send_seconds=policy.send_seconds)]
    app = Starlette(routes=routes, middleware=around, exception_handlers={HTTPException: _short_error})
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
        if request.url.path.rstrip("/").endswith(("/sse", "/messages", "/message")):
            message += " It does not serve the older HTTP+SSE transport; set the host's entry to type http and to /mcp."
        return Refusal(404, "not_found", message).response(request.scope)
    return Refusal(error.status_code, "refused", error.detail, dict(error.headers or {})).response(request.scope)


def create_metrics_app(parts: HttpParts) -> ASGIApp:
    """Return an application with `/metrics` and the probes, for an address of its own."""
    return Starlette(routes=[_metrics_route(parts), *_health_routes(parts.readiness)])


def _health_routes(readiness: Readiness) -> list[Route]:
    """Return the routes for liveness and readiness. Probes connect by address, so any Host is accepted."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        problem = await readiness.problem()
        return PlainTextResponse("ok\n") if problem is None else PlainTextResponse(f"{problem}\n", 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _metrics_route(parts: HttpParts) -> Route:
    async def scrape(request: Request) -> Response:
        parts.metrics.ready.set(parts.readiness.last_known())  # a scrape must not wait for Contit
        content, media_type = parts.metrics.text(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type})

    return Route("/metrics", scrape)


def _read_states(context: AppContext, parts: HttpParts, rate: RequestRate) -> None:
    """Let each scrape read the states that no event reports."""
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


class Requests:
    """The outermost ASGI middleware: trace, log and count every request, and end those whose clients do not read.

    Args:
        app: The application behind it.
        count: Called with path, status and reason of refusal of each request.
        send_seconds: Limit for a client to make room for the next part of its answer.
    """

    def __init__(
        self, app: ASGIApp, count: Callable[[str, int, str | None], None], *, send_seconds: float = SEND_SECONDS
    ) -> None:
        self._app = app
        self._count = count
        self._send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = anyio.current_time()
        status, size = 0, 0
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # as below the path of a mount
        path = "/mcp" if path == "/mcp/" else path if path in KNOWN_PATHS else "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        state = request_state(scope)

        async def watch(message: Message) -> None:
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            with anyio.move_on_after(self._send_seconds) as sending:
                await send(message)  # waits until the client has read enough of what was sent before
            if sending.cancelled_caught:
                state.refusal = "slow_reader"
                request.cancel()
                await anyio.sleep_forever()

        with _traced(scope, method, path) as span:
            try:
                with anyio.CancelScope() as request:
                    await self._serve(scope, receive, watch)
            finally:
                span.set_attribute("http.response.status_code", status)
                trace_id = _join(span, state.call_span)
                self._count(path, status, state.refusal)
                log.log(
                    _LEVEL_OF_PROBES if path in PROBES and status < 400 else _LEVEL,
                    "http.request",
                    method=method,
                    path=path,
                    status=status,
                    seconds=round(anyio.current_time() - began, 3),
                    bytes=size,
                    refused=state.refusal,
                    caller=state.caller.principal if state.caller is not None else None,
                    client=(scope.get("client") or [None])[0],
                    trace_id=trace_id,
                )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The parser takes the chunks and ignores the length. A proxy that does the opposite would see another request
        # in the rest of this one, so the connection ends here (RFC 9112, 6.1).
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            await _TWO_LENGTHS.response(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


_TWO_LENGTHS = Refusal(
    400, "two_lengths", "A request has either Content-Length or Transfer-Encoding.", {"Connection": "close"}
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
_LEVEL, _LEVEL_OF_PROBES = 20, 10  # INFO; DEBUG: they come every few seconds


def _join(span: trace.Span, call: trace.SpanContext | None) -> str | None:
    """Return the trace id of the request's call. If the message brought it, the request's span links to it."""
    own = span.get_span_context()
    if not own.is_valid:
        return None
    if call is None or not call.is_valid or call.trace_id == own.trace_id:
        return trace.format_trace_id(own.trace_id)
    span.add_link(call)
    return trace.format_trace_id(call.trace_id)


@contextmanager
def _traced(scope: Scope, method: str, path: str) -> Iterator[trace.Span]:
    """Open a span in the caller's trace (W3C `traceparent`); without an exporter only ids, which join the log lines."""
    if path in PROBES:
        yield trace.INVALID_SPAN
        return
    parent = propagate.extract(Headers(scope=scope))
    with _tracer.start_as_current_span(
        f"{method} {path}",
        context=parent,
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": method, "url.path": path},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        if span.get_span_context().is_valid:
            yield span
            return
        ids = trace.SpanContext(secrets.randbits(127) + 1, secrets.randbits(63) + 1, is_remote=False)
        token = tracing.attach(trace.set_span_in_context(trace.NonRecordingSpan(ids)))
        try:
            yield trace.NonRecordingSpan(ids)
        finally:
            tracing.detach(token)

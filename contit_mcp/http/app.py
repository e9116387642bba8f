"""Wire the ASGI application: `Requests` around a router with `/mcp` (`Guard`), discovery, the probes and metrics."""

import logging
import math
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from opentelemetry import propagate, trace
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp import __version__
from contit_mcp.config.settings import Settings
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import build_http_client
from contit_mcp.errors import AuthenticationError, ContitError, NotFoundError
from contit_mcp.http.auth import JwtTokens, anyone, issuer_client, metadata_routes, own_credential, token_of
from contit_mcp.http.guard import Guard, Identify, Refusal
from contit_mcp.http.rate import RequestRate
from contit_mcp.runs.record import SCHEMA_VERSION
from contit_mcp.server.context import AppContext, request_state
from contit_mcp.server.server import DESCRIPTION, ICON, TITLE, WEBSITE, create_server
from contit_mcp.telemetry.logging import get_logger
from contit_mcp.telemetry.metrics import Metrics

log = get_logger(__name__)
_tracer = trace.get_tracer("contit_mcp")

PROBE_SECONDS = 10.0  # how long the result of a probe of Contit is used
SEND_SECONDS = 30.0  # for a client to make room for the next part of its answer

OPERATOR_PATHS = ("/healthz", "/readyz", "/metrics")
KNOWN_PATHS = ("/mcp", *OPERATOR_PATHS)

NAME = "cloud.contit/contit-mcp"  # in the MCP registry; server.json has it too
CARD_SCHEMA = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json"
CARD_TYPE = "application/mcp-server-card+json"
CREDENTIALS = {  # by mode, for the server card; OAuth 2.1 (`jwt`) has a discovery of its own
    "token": {"name": "Authorization", "description": "Bearer, and a token of this server."},
    "caller": {"name": "X-Api-Key", "description": "An API key of Contit."},
}


class Readiness:
    """Whether this server takes calls: between start and drain and, if a setting asks for it, while Contit answers."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> None:
        self.serving = False
        self._settings = settings
        self._transport = transport
        self.problem: str | None = None  # of Contit, when it was last asked
        self._probed_at = float("-inf")
        self._probing = anyio.Lock()

    async def ask(self) -> str | None:
        """Return why this server takes no calls; None if it takes calls."""
        if not self.serving:
            return "not serving: starting or draining"
        async with self._probing:
            if self._settings.ready_probes_contit and anyio.current_time() - self._probed_at >= PROBE_SECONDS:
                self.problem = await self._probe(self._settings.base_url, self._settings.ca_file)
                self._probed_at = anyio.current_time()
        return self.problem

    async def _probe(self, base_url: str, ca_file: Path | None) -> str | None:
        try:
            async with build_http_client(base_url, ca_file=ca_file, transport=self._transport) as http:
                await ContitClient(http, read_seconds=3.0).run_status("contit-mcp-probe", "contit-mcp-probe")
        except ContitError as error:
            # The probe has no credential, so 401 and 404 show that Contit answers.
            return None if isinstance(error, NotFoundError | AuthenticationError) else error.message
        return None


@dataclass(frozen=True, slots=True)
class WiredApp:
    """The application, and the parts of it that `listen` and the drain use."""

    app: ASGIApp
    context: AppContext
    guard: Guard
    readiness: Readiness
    metrics: Metrics

    async def drain(self, cause: signal.Signals) -> None:
        """Refuse new calls, end the waits of those in flight, and wait until these have returned their ids."""
        log.info("server.stopping", cause=cause.name, calls_in_flight=self.context.calls_in_flight)
        self.readiness.serving = False
        self.context.close(late_calls=True)  # those that the guard has let through
        await self.guard.drain()


@asynccontextmanager
async def wired_app(
    settings: Settings,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    probe: bool = False,
    sessions: StreamableHTTPSessionManager | None = None,
) -> AsyncIterator[WiredApp]:
    """Yield the application for settings that `refuse_unsafe` has accepted, and close its connections at the end.

    `transport` replaces the network to Contit (the embedded sandbox), `sessions` our MCP server; `probe` adds the tool
    contit_probe. An unusable seal key or CA file raises a ConfigurationError.
    """
    location = settings.store_location()
    metrics = Metrics()
    readiness = Readiness(settings, transport)
    rate = RequestRate(settings.requests_per_minute, redis_url=location.url if location.kind == "redis" else None)
    async with AsyncExitStack() as stack:
        opened = AppContext(settings, auth=settings.auth, transport=transport, metrics=metrics)
        context = await stack.enter_async_context(opened)
        context.services().http_client()  # imports what the first caller would wait for otherwise
        sessions = sessions or StreamableHTTPSessionManager(
            create_server(context, probe=probe),
            stateless=True,
            # `Guard` checks Host and Origin: unlike the SDK, it can also allow any Host.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=settings.max_body_bytes,
        )
        guard = Guard(sessions.handle_request, settings, await _identification(settings, stack), rate)
        metrics_here = settings.metrics_port is None
        routes = [
            Route("/mcp", guard),
            Route("/mcp/", guard),
            *_discovery_routes(settings),
            *(metadata_routes(settings) if settings.auth == "jwt" else []),
            *(route for route in operator_routes(readiness, metrics) if metrics_here or route.path != "/metrics"),
        ]
        # Behind a proxy a redirect would lead from https to http, and the credential with it.
        app = Requests(Router(routes, redirect_slashes=False, default=_not_found), metrics.count_request)
        # Each scrape reads the states that no event reports, without waiting for Contit.
        metrics.calls_in_flight.set_function(lambda: context.calls_in_flight)
        metrics.under_way.labels("call").set_function(lambda: guard.under_way)
        metrics.reachable.set_function(lambda: context.reachability.reachable)
        metrics.upstream_in_flight.set_function(lambda: context.reachability.in_flight)
        metrics.upstream_oldest.set_function(lambda: context.reachability.oldest_seconds)
        metrics.backoff.set_function(lambda: context.services().backoff_stretch())
        metrics.limits_local.set_function(lambda: rate.local_only)
        metrics.ready.set_function(lambda: readiness.serving and readiness.problem is None)
        metrics.most_under_way.set(settings.calls_at_once)
        metrics.set_build_info(store=location.kind, schema=None if location.kind == "memory" else SCHEMA_VERSION)
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(context.reachability.watch)
            watchers.start_soon(metrics.watch_event_loop)
            async with sessions.run():
                yield WiredApp(app, context, guard, readiness, metrics)
            watchers.cancel_scope.cancel()


async def _identification(settings: Settings, stack: AsyncExitStack) -> Identify:
    match settings.auth:
        case "token":
            return token_of(settings.caller_tokens)
        case "caller":
            return own_credential
        case "jwt":
            return JwtTokens(settings, await stack.enter_async_context(issuer_client(settings)))
        case "none":
            return anyone


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    message = "This server speaks MCP at /mcp, over Streamable HTTP."
    if scope["path"].rstrip("/").endswith(("/sse", "/messages", "/message")):
        message += " It does not serve the older HTTP+SSE transport; set the host's entry to type http and to /mcp."
    await Refusal(404, "not_found", message)(scope, receive, send)


def _discovery_routes(settings: Settings) -> list[Route]:
    """Return what clients read before they connect: the server card (SEP-2127), and the AI catalog that names it."""
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET"}
    headers |= {"Access-Control-Allow-Headers": "Content-Type"}
    # Without CONTIT_MCP_PUBLIC_URL the addresses are made from the Host header, which no cache should keep.
    headers["Cache-Control"] = "public, max-age=3600" if settings.public_url else "no-store"

    def url(request: Request) -> str:
        return settings.public_url or f"{request.base_url}mcp"

    async def card(request: Request) -> Response:
        remote: dict[str, Any] = {"type": "streamable-http", "url": url(request)}
        if header := CREDENTIALS.get(settings.auth):
            remote["headers"] = [{**header, "isRequired": True, "isSecret": True}]
        remote["supportedProtocolVersions"] = [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS]
        icon = ICON.model_dump(mode="json", by_alias=True, exclude_none=True)
        about = {"name": NAME, "title": TITLE, "description": DESCRIPTION, "websiteUrl": WEBSITE, "icons": [icon]}
        content = {"$schema": CARD_SCHEMA, "version": __version__, **about, "remotes": [remote]}
        return JSONResponse(content, headers=headers, media_type=CARD_TYPE)

    async def catalog(request: Request) -> Response:
        entry = {"identifier": "urn:air:contit.cloud:contit-mcp", "displayName": TITLE, "type": CARD_TYPE}
        content = {"specVersion": "0.9", "entries": [{**entry, "url": f"{url(request)}/server-card"}]}
        return JSONResponse(content, headers=headers, media_type="application/ai-catalog+json")

    return [Route("/mcp/server-card", card), Route("/.well-known/ai-catalog.json", catalog)]


def operator_routes(readiness: Readiness, metrics: Metrics) -> list[Route]:
    """Return the routes of `OPERATOR_PATHS`. They are asked by address, so any Host is accepted."""

    async def readyz(_: Request) -> Response:
        problem = await readiness.ask()
        return PlainTextResponse(f"{problem or 'ok'}\n", 503 if problem else 200)

    async def scrape(request: Request) -> Response:
        content, media_type = metrics.text(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type})

    return [
        Route("/healthz", PlainTextResponse("ok\n"), methods=["GET"]),
        Route("/readyz", readyz),
        Route("/metrics", scrape),
    ]


_TWO_LENGTHS = Refusal(400, "two_lengths", "Send either Content-Length or Transfer-Encoding.", {"Connection": "close"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


class Requests:
    """The outermost ASGI middleware: trace, log and count every request, and end those whose clients do not read."""

    send_seconds = SEND_SECONDS

    def __init__(self, app: ASGIApp, count: Callable[[str, int, str | None], None]) -> None:
        self._app = app
        self._count = count  # path, status, reason of refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began = anyio.current_time()
        status, size, sends = 0, 0, 0  # sends: under way
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # relative to a mount
        path = "/mcp" if path == "/mcp/" else path if path in KNOWN_PATHS else "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        state = request_state(scope)
        request = anyio.CancelScope()

        async def watch(message: Message) -> None:
            nonlocal status, size, sends
            status = message.get("status", status)
            size += len(message.get("body", b""))
            if not sends:  # a keep-alive beside a part of the answer does not prolong the limit
                request.deadline = anyio.current_time() + self.send_seconds
            sends += 1
            try:
                await send(message)  # waits until the client has read enough of what was sent before
            finally:
                sends -= 1
                request.deadline = anyio.current_time() + self.send_seconds if sends else math.inf

        # The parser takes the chunks and ignores the length. A proxy that does the opposite would see another request
        # in the rest of this one, so the connection ends here (RFC 9112, 6.1).
        two_lengths = {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}
        with _traced(scope, method, path) as span:
            try:
                with request:
                    await (_TWO_LENGTHS if two_lengths else self._app)(scope, receive, watch)
            finally:
                if request.cancel_called:
                    state.refusal = "slow_reader"
                span.set_attribute("http.response.status_code", status)
                ids = span.get_span_context()
                if state.call_span is not None and state.call_span.trace_id != ids.trace_id:
                    span.add_link(state.call_span)  # the message brought the trace of its call
                    ids = state.call_span
                self._count(path, status, state.refusal)
                served = status < 400 and state.refusal is None
                is_routine = path in OPERATOR_PATHS or state.call_span is not None  # a call has a line of its own
                level = logging.DEBUG if served and is_routine else logging.INFO
                if log.isEnabledFor(level):
                    log.log(
                        level,
                        "http.request",
                        method=method,
                        path=path,
                        status=status,
                        seconds=round(anyio.current_time() - began, 3),
                        bytes=size,
                        refused=state.refusal,
                        caller=state.caller.principal if state.caller is not None else None,
                        client=(scope.get("client") or [None])[0],
                        trace_id=trace.format_trace_id(ids.trace_id) if ids.is_valid else None,
                    )


@contextmanager
def _traced(scope: Scope, method: str, path: str) -> Iterator[trace.Span]:
    """Open a span in the caller's trace (W3C `traceparent`); without an exporter only ids, which join the log lines."""
    if path in OPERATOR_PATHS:
        yield trace.INVALID_SPAN
        return
    span = _tracer.start_span(
        f"{method} {path}",
        context=propagate.extract(Headers(scope=scope)),
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": method, "url.path": path},
    )
    if not span.get_span_context().is_valid:
        ids = trace.SpanContext(secrets.randbits(127) + 1, secrets.randbits(63) + 1, is_remote=False)
        span = trace.NonRecordingSpan(ids)
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield span

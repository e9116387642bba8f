"""Build the ASGI application: from the headers of a request to the tools, with the probes and metrics beside them."""

import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import httpx
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from opentelemetry import propagate, trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.config.settings import Settings, split_list
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import build_http_client
from contit_mcp.errors import APIStatusError, AuthenticationError, ContitError, NotFoundError
from contit_mcp.http.auth import JwtTokens, StaticTokens, anyone, issuer_client, metadata_routes, own_credential
from contit_mcp.http.guard import LOOPBACK_HOSTS, LOOPBACK_ORIGINS, Guard, GuardPolicy, Identify, Refusal, page_refusal
from contit_mcp.http.rate import RequestRate
from contit_mcp.http.server_card import discovery_routes
from contit_mcp.runs.record import SCHEMA_VERSION
from contit_mcp.server.card import SESSION_HEADER, session_id_for
from contit_mcp.server.context import AppContext
from contit_mcp.server.request_state import Sharing, request_state
from contit_mcp.server.server import create_server
from contit_mcp.telemetry.logging import get_logger
from contit_mcp.telemetry.metrics import Metrics

log = get_logger(__name__)
_tracer = trace.get_tracer("contit_mcp")

PROBE_SECONDS = 10.0
"""How long the result of the last probe of Contit is used."""

SEND_SECONDS = 30.0
"""Limit for a client to make room for the next part of its answer."""

DRAIN_SECONDS = 3.3
"""For calls in flight to return their handles: their waits end at once, a start being sent within 2 s."""

PROBES = ("/healthz", "/readyz", "/metrics")
KNOWN_PATHS = ("/mcp", *PROBES)

SHARING = {
    "none": Sharing.ONE_CALLER,
    "token": Sharing.BY_PRINCIPAL,
    "jwt": Sharing.BY_PRINCIPAL,
    "caller": Sharing.BY_CREDENTIAL,
}


class Readiness:
    """Whether this server takes calls: after its start, before its drain, and if Contit answers where that is asked."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> None:
        self.serving = False
        self._settings = settings
        self._transport = transport
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
        if self._settings.ready_probes_contit:
            async with self._probing:
                if anyio.current_time() - self._probed_at >= PROBE_SECONDS:
                    self._problem = await self._probe()
                    self._probed_at = anyio.current_time()
        return self._problem

    async def _probe(self) -> str | None:
        settings = self._settings
        async with build_http_client(settings.base_url, ca_file=settings.ca_file, transport=self._transport) as http:
            try:
                await ContitClient(http, read_seconds=3.0).run_status("contit-mcp-probe", "contit-mcp-probe")
            except (NotFoundError, AuthenticationError):
                return None  # it is there; calls report a refused credential
            except APIStatusError as error:
                return f"Contit answers {error.status_code}"
            except ContitError as error:
                return error.message
        return None


@dataclass(frozen=True, slots=True)
class WiredApp:
    """The application, and what the function that serves it uses of it."""

    app: ASGIApp
    context: AppContext
    guard: Guard
    readiness: Readiness
    metrics: Metrics

    async def drain(self) -> None:
        """Take no new calls, and end the waits of those in flight, so that they return their handles."""
        self.readiness.serving = False
        self.guard.draining = True
        self.context.close()
        with anyio.move_on_after(DRAIN_SECONDS):
            while self.guard.under_way:
                await anyio.sleep(0.02)
        self.guard.end()


@asynccontextmanager
async def wired_app(
    settings: Settings,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    probe: bool = False,
    sessions: StreamableHTTPSessionManager | None = None,
) -> AsyncIterator[WiredApp]:
    """Yield the application for settings that `refuse_unsafe` has accepted, and close its connections at the end.

    `transport` replaces the network to Contit (the embedded sandbox), and `sessions` our MCP server. `probe` adds the
    tool `contit_probe`. A CA file or a seal key that cannot be used raises a ConfigurationError.
    """
    location = settings.store_location()
    metrics = Metrics()
    readiness = Readiness(settings, transport)
    policy = http_policy(settings)
    rate = RequestRate(settings.requests_per_minute, redis_url=location.url if location.kind == "redis" else None)
    async with AsyncExitStack() as stack:
        opened = AppContext(settings, sharing=SHARING[settings.auth], transport=transport, metrics=metrics)
        context = await stack.enter_async_context(opened)
        identify = await stack.enter_async_context(_identification(settings))
        context.services()  # imports what the first caller would wait for otherwise
        sessions = sessions or StreamableHTTPSessionManager(
            create_server(context, probe=probe),
            stateless=True,
            # `Guard` checks Host and Origin: unlike the SDK, it can also allow any Host.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=policy.largest_body,
        )
        tools = _with_card_sessions(sessions.handle_request) if settings.card else sessions.handle_request
        guard = Guard(tools, policy, identify, rate)
        served = _ForPages(guard, policy)
        metrics_here = settings.metrics_port is None
        routes = [
            Route("/mcp", served),
            Route("/mcp/", served),
            *discovery_routes(settings),
            *(metadata_routes(settings) if settings.auth == "jwt" else []),
            *(each for each in operator_routes(readiness, metrics) if metrics_here or each.path != "/metrics"),
        ]
        # Behind a proxy a redirect would lead from https to http, and the credential with it.
        app = Requests(Router(routes, redirect_slashes=False, default=_not_found), metrics.count_request)
        _read_states(metrics, context, guard, rate, policy)
        metrics.set_build_info(store=location.kind, schema=None if location.kind == "memory" else SCHEMA_VERSION)
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(context.reachability.watch)
            watchers.start_soon(metrics.watch_event_loop)
            async with sessions.run():
                yield WiredApp(app, context, guard, readiness, metrics)
            watchers.cancel_scope.cancel()


def http_policy(settings: Settings) -> GuardPolicy:
    """Return what is let in, and how much of it."""
    open_to_names = settings.auth != "none"
    hosts = split_list(settings.allowed_hosts)
    if hosts and settings.public_url:
        hosts.append(urlsplit(settings.public_url).netloc)
    origins = split_list(settings.allowed_origins)
    return GuardPolicy(
        hosts=hosts or (None if open_to_names else LOOPBACK_HOSTS),
        origins=origins or (() if open_to_names else LOOPBACK_ORIGINS),
        largest_body=settings.max_body_bytes,
        per_caller=settings.calls_per_caller,
        at_once=settings.calls_at_once,
    )


@asynccontextmanager
async def _identification(settings: Settings) -> AsyncIterator[Identify]:
    match settings.auth:
        case "token":
            yield StaticTokens(settings.caller_tokens)
        case "caller":
            yield own_credential
        case "jwt":
            async with issuer_client(settings) as http:
                yield JwtTokens(settings, http)
        case "none":
            yield anyone


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    message = "This server speaks MCP at /mcp, over Streamable HTTP."
    if scope["path"].rstrip("/").endswith(("/sse", "/messages", "/message")):
        message += " It does not serve the older HTTP+SSE transport; set the host's entry to type http and to /mcp."
    await Refusal(404, "not_found", message)(scope, receive, send)


def operator_routes(readiness: Readiness, metrics: Metrics) -> list[Route]:
    """Return the routes of `PROBES`. They are asked by address, so any Host is accepted."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        problem = await readiness.problem()
        return PlainTextResponse("ok\n") if problem is None else PlainTextResponse(f"{problem}\n", 503)

    async def scrape(request: Request) -> Response:
        metrics.ready.set(readiness.last_known())  # a scrape must not wait for Contit
        content, media_type = metrics.text(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type})

    return [Route(path, endpoint) for path, endpoint in zip(PROBES, (healthz, readyz, scrape), strict=True)]


def _read_states(metrics: Metrics, context: AppContext, guard: Guard, rate: RequestRate, policy: GuardPolicy) -> None:
    """Let each scrape read the states that no event reports."""
    reachability = context.reachability
    metrics.most_under_way.set(policy.at_once)
    metrics.calls_in_flight.set_function(lambda: context.calls_in_flight)
    metrics.under_way.labels("call").set_function(lambda: guard.under_way)
    metrics.reachable.set_function(lambda: reachability.reachable)
    metrics.upstream_in_flight.set_function(lambda: reachability.in_flight)
    metrics.upstream_oldest.set_function(lambda: reachability.oldest_seconds)
    metrics.backoff.set_function(lambda: context.services().backoff_stretch())
    metrics.limits_local.set_function(lambda: rate.local_only)


class _ForPages:
    """Refuse what foreign pages send, and answer the preflights of the others, which carry no credential."""

    def __init__(self, app: ASGIApp, policy: GuardPolicy) -> None:
        origins = [origin.lower() for origin in policy.origins]  # as browsers write them; they are compared as they are
        self._policy = policy
        self._cors = CORSMiddleware(
            app,
            allow_origins=[origin for origin in origins if not origin.endswith(":*")],
            allow_origin_regex="|".join(re.escape(o[:-2]) + r":\d+" for o in origins if o.endswith(":*")) or None,
            allow_methods=["POST"],
            allow_headers=[
                "Authorization", "Content-Type", "X-Api-Key", "Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method",
                "Mcp-Name", "Last-Event-Id", "Traceparent", "Tracestate",
            ],
            expose_headers=["WWW-Authenticate", "Retry-After", SESSION_HEADER],
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (page_refusal(Headers(scope=scope), self._policy) or self._cors)(scope, receive, send)


def _with_card_sessions(app: ASGIApp) -> ASGIApp:
    """Add a session id to the response of an `initialize` that declares cards."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        session_id = session_id_for(request_state(scope).body or b"")

        async def send_with_id(message: Message) -> None:
            if session_id is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message)[SESSION_HEADER] = session_id
            await send(message)

        await app(scope, receive, send_with_id)

    return serve


_TWO_LENGTHS = Refusal(
    400, "two_lengths", "A request has either Content-Length or Transfer-Encoding.", {"Connection": "close"}
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


class Requests:
    """The outermost ASGI middleware: trace, log and count every request, and end those whose clients do not read.

    `count` is called with path, status and reason of refusal.
    """

    def __init__(
        self, app: ASGIApp, count: Callable[[str, int, str | None], None], *, send_seconds: float = SEND_SECONDS
    ) -> None:
        self._app = app
        self._count = count
        self._send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
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

        # The parser takes the chunks and ignores the length. A proxy that does the opposite would see another request
        # in the rest of this one, so the connection ends here (RFC 9112, 6.1).
        two_lengths = {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}
        with _traced(scope, method, path) as span:
            try:
                with anyio.CancelScope() as request:
                    await (_TWO_LENGTHS if two_lengths else self._app)(scope, receive, watch)
            finally:
                span.set_attribute("http.response.status_code", status)
                ids = span.get_span_context()
                if state.call_span is not None and state.call_span.trace_id != ids.trace_id:
                    span.add_link(state.call_span)  # the message brought the trace of its call
                    ids = state.call_span
                self._count(path, status, state.refusal)
                served = status < 400 and state.refusal is None
                is_dull = path in PROBES or state.call_span is not None  # a call has a line of its own
                log.log(
                    logging.DEBUG if served and is_dull else logging.INFO,
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
    if path in PROBES:
        yield trace.INVALID_SPAN
        return
    with _tracer.start_as_current_span(
        f"{method} {path}",
        context=propagate.extract(Headers(scope=scope)),
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": method, "url.path": path},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        if span.get_span_context().is_valid:
            yield span
            return
        ids = trace.SpanContext(secrets.randbits(127) + 1, secrets.randbits(63) + 1, is_remote=False)
        with trace.use_span(trace.NonRecordingSpan(ids), record_exception=False) as unrecorded:
            yield unrecorded

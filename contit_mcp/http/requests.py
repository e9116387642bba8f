"""Trace, log and count every request, and end those whose clients do not read."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
from opentelemetry import context, propagate, trace
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.http.refusals import Refusal
from contit_mcp.server.request_state import request_state
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)
_tracer = trace.get_tracer("contit_mcp")

KNOWN_PATHS = ("/mcp", "/healthz", "/readyz", "/metrics")

SEND_SECONDS = 30.0
"""Limit for a client to make room for the next part of its answer."""


class InFlight:
    """The requests to `/mcp` that are being served."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self.draining = False

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._scopes)

    @contextmanager
    def one(self) -> Iterator[anyio.CancelScope]:
        """Count one request while inside."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.remove(scope)

    def end(self) -> None:
        """Cancel all of them."""
        for scope in list(self._scopes):
            scope.cancel()


class Requests:
    """The outermost ASGI middleware.

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
        status, size, complete = 0, 0, False
        path = _known(scope["path"].removeprefix(scope.get("root_path", "")))  # as below the path of a mount
        method = scope["method"] if scope["method"] in _METHODS else "other"
        state = request_state(scope)

        async def watch(message: Message) -> None:
            nonlocal status, size, complete
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            with anyio.move_on_after(self._send_seconds) as sending:
                await send(message)  # waits until the client has read enough of what was sent before
            if sending.cancelled_caught:
                state.refusal = "slow_reader"
                request.cancel()
                await anyio.sleep_forever()
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        with _traced(scope, method, path) as span:
            try:
                with anyio.CancelScope() as request:
                    await self._serve(scope, receive, watch)
            finally:
                span.set_attribute("http.response.status_code", status)
                trace_id = _join(span, state.call_span)
                self._count(path, status, state.refusal)
                log.log(
                    _LEVEL_OF_PROBES if path in _PROBES and status < 400 else _LEVEL,
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


def _known(path: str) -> str:
    path = "/mcp" if path == "/mcp/" else path
    return path if path in KNOWN_PATHS else "other"


_PROBES = KNOWN_PATHS[1:]
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
    if path in _PROBES:
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
        token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(ids)))
        try:
            yield trace.NonRecordingSpan(ids)
        finally:
            context.detach(token)

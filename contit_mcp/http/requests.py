"""What happens around every request: a trace, one line in the log, a count, and the end of the streams at a drain."""

import secrets
from collections.abc import Awaitable, Callable, Iterator
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


class Streams:
    """Requests to `/mcp` under way: calls, which end by themselves, and listeners, which never do."""

    def __init__(self) -> None:
        self._scopes: dict[anyio.CancelScope, bool] = {}
        self.draining = False

    @property
    def calls(self) -> int:
        """How many end by themselves, once their waits are over."""
        return len(self._scopes) - self.listeners

    @property
    def listeners(self) -> int:
        """How many wait for nothing in particular."""
        return sum(self._scopes.values())

    @contextmanager
    def one(self, *, listens: bool) -> Iterator[anyio.CancelScope]:
        """While inside, it is under way."""
        with anyio.CancelScope() as scope:
            self._scopes[scope] = listens
            try:
                yield scope
            finally:
                del self._scopes[scope]

    def end_listeners(self) -> None:
        """End those that wait for nothing in particular."""
        self._end([scope for scope, listens in self._scopes.items() if listens])

    def end(self) -> None:
        """End all of them."""
        self._end(list(self._scopes))

    @staticmethod
    def _end(scopes: list[anyio.CancelScope]) -> None:
        for scope in scopes:
            scope.cancel()


class Requests:
    """The outermost ASGI middleware.

    Args:
        app: What is behind it.
        streams: Where requests are counted.
        count: Told path, status and reason of refusal of each.
    """

    def __init__(self, app: ASGIApp, streams: Streams, count: Callable[[str, int, str | None], None]) -> None:
        self._app = app
        self._streams = streams
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = anyio.current_time()
        status, size, complete = 0, 0, False
        path = scope["path"] if scope["path"] in KNOWN_PATHS else "other"

        async def watch(message: Message) -> None:
            nonlocal status, size, complete
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)  # waits for a client that takes nothing in; what a drain ends there was not sent
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        state = request_state(scope)

        async def note() -> None:
            for each in state.notes:
                await each(complete)

        with _traced(scope, path) as span:
            try:
                await self._serve(scope, receive, watch, note)
                # What the drain has ended the client sees as an end, not as a connection that broke.
                if status and not complete:
                    await watch({"type": "http.response.body", "body": b"", "more_body": False})
                elif not status and self._streams.draining:
                    # Of a call that has reached its tool a run may exist. 503 is what proxies may send elsewhere.
                    answer = _cut_off if state.call_span is not None else _draining
                    await answer(scope, receive, watch)
            finally:
                span.set_attribute("http.response.status_code", status)
                trace_id = _join(span, state.call_span)
                self._count(path, status, state.refusal)
                log.log(
                    _LEVEL_OF_PROBES if path in KNOWN_PATHS[1:] and status < 400 else _LEVEL,
                    "http.request",
                    method=scope["method"],
                    path=path,
                    status=status,
                    seconds=round(anyio.current_time() - began, 3),
                    bytes=size,
                    refused=state.refusal,
                    caller=state.caller.principal if state.caller is not None else None,
                    client=(scope.get("client") or [None])[0],
                    trace_id=trace_id,
                )

    async def _serve(self, scope: Scope, receive: Receive, send: Send, note: Callable[[], Awaitable[None]]) -> None:
        if scope["path"] != "/mcp":
            await self._app(scope, receive, send)
        elif self._streams.draining:
            await _draining(scope, receive, send)
        else:
            with self._streams.one(listens=is_listener(scope)):
                try:
                    await self._app(scope, receive, send)
                finally:
                    with anyio.CancelScope(shield=True):
                        await note()


async def _draining(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = Refusal(503, "draining", "This server is shutting down; ask again.", {"Retry-After": "1"})
    await refusal.response(scope)(scope, receive, send)


async def _cut_off(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = Refusal(
        500,
        "cut_off",
        "This server is shutting down, and the run may have been started. Ask again in the same words: it is joined.",
    )
    await refusal.response(scope)(scope, receive, send)


def is_listener(scope: Scope) -> bool:
    """Whether a request opens a stream that has no end of its own: GET in the older era, by its method in the newer."""
    return scope["method"] == "GET" or (b"mcp-method", b"subscriptions/listen") in scope["headers"]


_LEVEL, _LEVEL_OF_PROBES = 20, 10  # INFO; DEBUG: they come every few seconds


def _join(span: trace.Span, call: trace.SpanContext | None) -> str:
    """The trace of a request's call, which the message may have brought along; the request's span then points there."""
    own = span.get_span_context()
    if call is None or not call.is_valid or call.trace_id == own.trace_id:
        return trace.format_trace_id(own.trace_id)
    span.add_link(call)
    return trace.format_trace_id(call.trace_id)


@contextmanager
def _traced(scope: Scope, path: str) -> Iterator[trace.Span]:
    """A span in the caller's trace (W3C `traceparent`). Without an exporter at least ids, to join the log's lines."""
    parent = propagate.extract(Headers(scope=scope))
    with _tracer.start_as_current_span(
        f"{scope['method']} {path}",
        context=parent,
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": scope["method"], "url.path": path},
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

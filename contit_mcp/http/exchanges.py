"""A call of a tool in the older protocol era, served as one exchange: one task that waits, and its client's stream.

The SDK serves such a call as a whole session of one message: a transport, a dispatcher, four streams and a dozen tasks,
most of what an ask that waits costs (docs/performance.md). So it gets the calls that are not well-formed, and all that
are no calls; a well-formed one goes to the same handlers in the way in which the SDK serves the newer era.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import anyio.lowlevel
from mcp.server.connection import Connection
from mcp.server.runner import serve_one
from mcp.server.streamable_http import check_accept_headers
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data, progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    DEFAULT_NEGOTIATED_VERSION,
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from contit_mcp.http.bodies import at_once
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

PING_SECONDS = 15.0
"""Between two comments. Proxies close a stream that is silent for a minute."""

_HEADERS: Final = [
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"content-type", b"text/event-stream"),
    (b"x-accel-buffering", b"no"),
]

_PING: Final = b": ping\r\n\r\n"


class Exchanges:
    """ASGI application behind `BodyLimits`.

    Args:
        sessions: The SDK's way, for all that is not served here. It is running.
        ping_seconds: Between two signs of life.
    """

    def __init__(self, sessions: StreamableHTTPSessionManager, *, ping_seconds: float = PING_SECONDS) -> None:
        self._sessions = sessions
        self._ping_seconds = ping_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
        content = request.headers.get("content-type", "").partition(";")[0].strip()
        if scope["method"] != "POST" or version not in HANDSHAKE_PROTOCOL_VERSIONS or content != "application/json":
            await self._sessions.handle_request(scope, receive, send)
            return
        body = await request.body()
        call = _call_in(body)
        if call is None or not all(check_accept_headers(request)):
            await self._sessions.handle_request(scope, at_once(body, receive), send)
            return
        await self._serve(call, version, request, send)

    async def _serve(self, call: JSONRPCRequest, version: str, request: Request, send: Send) -> None:
        stream = _Stream(send)
        context = _Context(
            transport=TransportContext(kind="streamable-http", can_send_request=False),
            request_id=call.id,
            message_metadata=ServerMessageMetadata(request_context=request, can_send_request=False),
            progress_token=progress_token_from_params(call.params),
            say=stream.say,
        )
        await stream.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_with_client, request.receive, stream, tasks.cancel_scope)
            with self._signs_of_life(lambda: tasks.start_soon(stream.write, _PING)):
                answer = await self._answer(call, Connection.from_envelope(version, None, None), context)
            context.closed = True
            await stream.write(answer)
            await stream.taken()
            tasks.cancel_scope.cancel()
        if not stream.left:
            await stream.close()

    async def _answer(self, call: JSONRPCRequest, connection: Connection, context: "_Context") -> bytes:
        state = self._sessions._lifespan_state  # noqa: SLF001 - what the server's lifespan gave; it is told nobody else
        try:
            result = await serve_one(
                self._sessions.app, context, call.method, call.params, connection=connection, lifespan_state=state
            )
            return _event(JSONRPCResponse(jsonrpc="2.0", id=call.id, result=result))
        except Exception as exc:
            error = handler_exception_to_error_data(exc)
            if error is None:
                log.exception("call.crashed", method=call.method)
                error = ErrorData(code=INTERNAL_ERROR, message="Internal error")
            return _event(JSONRPCError(jsonrpc="2.0", id=call.id, error=error))

    @contextmanager
    def _signs_of_life(self, ping: Callable[[], object]) -> Iterator[None]:
        """A timer, which costs a tenth of a task: few calls last so long that it is needed."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def show() -> None:
            nonlocal timer
            timer = loop.call_later(self._ping_seconds, show)
            ping()

        timer = loop.call_later(self._ping_seconds, show)
        try:
            yield
        finally:
            timer.cancel()


async def _end_with_client(receive: Receive, stream: "_Stream", call: anyio.CancelScope) -> None:
    """One look that lasts: each new one would let uvicorn read more of what a client sends ahead."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.left = True
    call.cancel()


def _call_in(body: bytes) -> JSONRPCRequest | None:
    """The call of a tool that it is, as the SDK understands it."""
    try:
        message = jsonrpc_message_adapter.validate_json(body, by_name=False)
    except ValueError:
        return None
    return message if isinstance(message, JSONRPCRequest) and message.method == "tools/call" else None


def _event(message: JSONRPCNotification | JSONRPCResponse | JSONRPCError) -> bytes:
    data = message.model_dump_json(by_alias=True, exclude_unset=True)
    return f"event: message\r\ndata: {data}\r\n\r\n".encode()


class _Stream:
    """The response: server-sent events.

    Attributes:
        left: Whether the client is gone.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.left = False

    async def open(self) -> None:
        """At once: a client that hears nothing for some seconds may give up."""
        await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})

    async def say(self, message: JSONRPCNotification) -> None:
        """Send a message."""
        await self.write(_event(message))

    async def write(self, event: bytes) -> None:
        """Send an event as it is."""
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def taken(self) -> None:
        """Wait for a client that takes in slowly what was sent; where it has left meanwhile, its call is cancelled."""
        await self.write(b"")
        await anyio.lowlevel.checkpoint()

    async def close(self) -> None:
        """There is nothing more to come."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


@dataclass
class _Context:
    """The SDK's `DispatchContext` for one call. The client can be told something, and asked nothing."""

    transport: TransportContext
    request_id: str | int
    message_metadata: ServerMessageMetadata
    progress_token: str | int | None
    say: Callable[[JSONRPCNotification], Awaitable[None]]
    closed: bool = False
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = field(default=False, init=False)

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # noqa: ARG002 - the protocol's signature
        opts: CallOptions | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """There is no way back for an answer."""
        raise NoBackChannelError(method)

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,  # noqa: ARG002 - the protocol's signature
    ) -> None:
        """Tell the client something, unless it has its answer."""
        if not self.closed:
            body = None if params is None else dict(params)
            await self.say(JSONRPCNotification(jsonrpc="2.0", method=method, params=body))

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far it is, if that was asked for."""
        if self.progress_token is None:
            return
        said = {"progressToken": self.progress_token, "progress": progress, "total": total, "message": message}
        await self.notify("notifications/progress", {name: value for name, value in said.items() if value is not None})

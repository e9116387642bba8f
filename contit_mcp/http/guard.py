"""Refuse what should not reach the tools, cheap checks first.

The order: Host and Origin, which protect local servers against web pages (DNS rebinding, cross-site requests); the
caller (auth.py); method and headers; the size and speed of the body; a drain; the limits of the process and of the
caller; the JSON, the message and the protocol version, last, so that a broken message counts against the limits.
app.py has refused two lengths of one body and unknown paths before.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER, unsupported_protocol_version_rejection
from mcp_types import INVALID_REQUEST, PARSE_ERROR, jsonrpc_message_adapter
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import TypeAdapter
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.config.settings import Settings, split_list
from contit_mcp.http.rate import RequestRate
from contit_mcp.server.card import SESSION_HEADER, session_id_for
from contit_mcp.server.context import Caller, request_state
from contit_mcp.server.tenancy import owner_of_credential

MOST_BRACKETS = 40_000  # lists and objects in a body; the longest prompt is 32,000 characters, which may be brackets
DISCARD_SECONDS, DISCARD_BYTES = 3.0, 16 * 1_048_576  # limits for reading the rest of a refused request; see `Refusal`
DRAIN_SECONDS = 3.3  # for calls in flight to return their ids: waits end at once, a question on its way within 3 s
POLLS = ("tasks/get", "tasks/update", "tasks/cancel")

LOOPBACK_HOSTS = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "[::1]", "[::1]:*")
LOOPBACK_ORIGINS = tuple(f"{scheme}://{host}" for scheme in ("http", "https") for host in LOOPBACK_HOSTS)

_SERVER_ERROR = -32000  # left to servers (JSON-RPC 2.0, 5.1)
_PORT = re.compile(r":[0-9]{1,5}\Z")
_JSON = TypeAdapter[Any](Any)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a request is not served, as an ASGI application that answers with it."""

    status: int
    reason: str  # a short name, for logs, metrics and clients
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    code: int | None = None  # of the JSON-RPC error; by default that of a bad request, or of a server that is busy
    data: dict[str, Any] = field(default_factory=dict)  # of the JSON-RPC error, beside the reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send, request_id: str | int | None = None) -> None:
        """Answer in the form of OAuth 2.0; an identified caller gets a JSON-RPC error, which clients show."""
        state = request_state(scope)
        state.refusal = self.reason
        content: dict[str, Any] = {"error": self.reason, "error_description": self.message}
        if state.caller is not None:
            code = self.code or (_SERVER_ERROR if self.status in {429, 500, 503} else INVALID_REQUEST)
            error = {"code": code, "message": self.message, "data": {"reason": self.reason, **self.data}}
            content = {"jsonrpc": "2.0", "id": request_id, "error": error}
        headers = dict(self.headers)
        # Most clients send the whole request before they read the answer. If the connection is closed while they
        # send, they see a broken connection instead.
        if state.body is None and not await _discard(scope, receive):
            headers["Connection"] = "close"
        await JSONResponse(content, self.status, headers)(scope, receive, send)


async def _discard(scope: Scope, receive: Receive) -> bool:
    """Read the rest of a request within limits, and return whether it ended."""
    if (b"expect", b"100-continue") in scope["headers"]:
        return False  # the client has sent nothing yet and waits for the answer
    size = 0
    with anyio.move_on_after(DISCARD_SECONDS):
        while size <= DISCARD_BYTES:
            message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                return True
    return False


Identify = Callable[[Headers], Awaitable[Caller | Refusal]]

_DRAINING = Refusal(503, "draining", "This server is stopping; ask again.", {"Connection": "close", "Retry-After": "1"})
_CUT_OFF = Refusal(
    500, "cut_off", "This server is stopping; the run may have been started. Repeat the question to get its answer."
)


class Guard:
    """The ASGI middleware of `/mcp`. The application behind it gets the whole body at once."""

    body_seconds = 15.0
    body_budget = 64 * 1_048_576  # bytes of all bodies under way; configs/ limits the memory to 512 MB

    def __init__(self, app: ASGIApp, settings: Settings, identify: Identify, rate: RequestRate) -> None:
        self.draining = False
        self._app = app
        self._settings = settings
        hosts, origins = split_list(settings.allowed_hosts.lower()), split_list(settings.allowed_origins.lower())
        if hosts and settings.public_url:
            hosts.append(urlsplit(settings.public_url).netloc.lower())
        local = settings.auth == "none"
        self._hosts = hosts or (LOOPBACK_HOSTS if local else None)  # None allows any
        self._origins = origins or (LOOPBACK_ORIGINS if local else ())
        self._with_cors = CORSMiddleware(  # it answers preflights, which carry no credential
            self._identify_and_serve,
            allow_origin_regex=".*",  # `_page_refusal` has refused other origins
            allow_methods=["POST"],
            allow_headers=[
                "Authorization", "Content-Type", "X-Api-Key", "Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method",
                "Mcp-Name", "Last-Event-Id", "Traceparent", "Tracestate",
            ],
            expose_headers=["WWW-Authenticate", "Retry-After", SESSION_HEADER],
        )  # fmt: skip
        self._identify = identify
        self._rate = rate
        self._calls: Counter[str] = Counter()
        self._cancel_scopes: set[anyio.CancelScope] = set()
        self._body_bytes = 0

    @property
    def under_way(self) -> int:
        """Return how many requests are being served."""
        return self._calls.total()

    async def drain(self) -> None:
        """Refuse new requests; wait for those that are being served, and end those that take too long."""
        self.draining = True
        with anyio.move_on_after(DRAIN_SECONDS):
            while self.under_way:
                await anyio.sleep(0.02)
        for scope in list(self._cancel_scopes):
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        await (self._page_refusal(Headers(scope=scope)) or self._with_cors)(scope, receive, send)

    def _page_refusal(self, headers: Headers) -> Refusal | None:
        origins = headers.getlist("origin")
        if self._hosts is not None and not matches(headers.get("host", ""), self._hosts):
            return Refusal(421, "wrong_host", "This host name is not allowed; add it to CONTIT_MCP_ALLOWED_HOSTS.")
        if origins and not (len(origins) == 1 and matches(origins[0], self._origins)):
            return Refusal(403, "foreign_origin", "This origin is not allowed; add it to CONTIT_MCP_ALLOWED_ORIGINS.")
        # Browsers leave out Origin in requests that a page sends without being allowed to read the answer.
        if not origins and {"cross-site", "same-site"} & set(headers.getlist("sec-fetch-site")):
            return Refusal(403, "cross_site", "Web pages may not call this server without an Origin header.")
        return None

    async def _identify_and_serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check all but Host and Origin, in the order of this module's docstring, and serve the request."""
        request = Request(scope, receive)
        found = await self._identify(request.headers)
        if isinstance(found, Refusal):
            await found(scope, receive, send)
            return
        state = request_state(scope)
        state.caller = found
        body = bytearray()
        message: dict[str, Any] = {}
        try:
            refusal = _header_refusal(request) or await self._read(request, body)
            if refusal is None:
                state.body = bytes(body)
                message, problem = _parse(state.body)
                refusal = await self._serve(message, problem or _version_refusal(request), scope, receive, send)
            if refusal is not None:
                await refusal(scope, receive, send, message.get("id"))
        except ClientDisconnect:
            pass  # no client is left to answer
        finally:
            self._body_bytes -= len(body)

    async def _read(self, request: Request, body: bytearray) -> Refusal | None:
        """Receive the body into `body`. Its bytes count against the budget until the request has been served."""
        largest = self._settings.max_body_bytes
        too_large = Refusal(413, "large_body", f"The request is larger than {largest} bytes.")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > largest:  # an ASGI server need not have checked it
            return too_large
        with anyio.move_on_after(self.body_seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > largest:
                    return too_large
                if self._body_bytes + len(chunk) > self.body_budget:
                    return Refusal(503, "overloaded", "This server is full; try again.", {"Retry-After": "2"})
                body += chunk
                self._body_bytes += len(chunk)
            return None
        return Refusal(408, "slow_body", f"The request did not arrive within {self.body_seconds:.0f} s.")

    async def _serve(
        self, message: dict[str, Any], problem: Refusal | None, scope: Scope, receive: Receive, send: Send
    ) -> Refusal | None:
        """Serve the request, unless a drain, a limit, or the `problem` of its message is a reason to refuse it."""
        who = request_state(scope).caller or Caller()
        caller = who.principal or "everyone"
        if who.credential is not None:
            caller = owner_of_credential(who.credential.identity(), "", key=b"limits")
        if self.draining:
            return _DRAINING
        if self.under_way >= self._settings.calls_at_once:
            text = "This server is at its limit of requests; try again."
            return Refusal(503, "overloaded", text, {"Retry-After": "2"})
        if self._calls[caller] >= self._settings.calls_per_caller:
            text = "Too many of your calls are in flight; wait for some."
            return Refusal(429, "too_many_calls", text, {"Retry-After": "5"})
        self._calls[caller] += 1  # before anything is awaited, or all requests of a burst would find the same room
        try:
            seconds = await self._rate.seconds_to_wait(caller, poll=message.get("method") in POLLS)
            if seconds is not None:
                text = f"Too many requests; go on in {seconds} s."
                return Refusal(429, "too_many_requests", text, {"Retry-After": str(seconds)})
            return problem or await self._pass_on(message, scope, receive, send)
        finally:
            self._calls[caller] -= 1
            if not self._calls[caller]:
                del self._calls[caller]

    async def _pass_on(self, message: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> Refusal | None:
        """Serve the request; return a refusal if the end of a drain came before its answer."""
        state = request_state(scope)
        began = False
        bodies: list[Message] = [{"type": "http.request", "body": state.body, "more_body": False}]
        session_id = session_id_for(message) if self._settings.card else None

        async def receive_again() -> Message:
            return bodies.pop() if bodies else await receive()

        async def watch(message: Message) -> None:
            nonlocal began
            began = True
            if session_id is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message)[SESSION_HEADER] = session_id
            await send(message)

        # The SDK compares some media types letter by letter.
        others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        plain = {**scope, "headers": [*others, (b"content-type", b"application/json")]}
        with anyio.CancelScope() as ended:
            self._cancel_scopes.add(ended)
            try:
                await self._app(plain, receive_again, watch)
            finally:
                self._cancel_scopes.remove(ended)
        if not ended.cancel_called:
            return None
        if began:  # the client sees the end of a stream instead of a broken connection
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return None
        # A proxy may repeat a request that got a 503. A call that has reached its tool may have a run: it gets a 500.
        return _DRAINING if state.call_span is None else _CUT_OFF


def matches(value: str, allowed: Sequence[str]) -> bool:
    """Return whether a Host or Origin is in a list, where `name:*` allows any port."""
    value = value.lower()
    return value in allowed or _PORT.sub(":*", value) in allowed


def _header_refusal(request: Request) -> Refusal | None:
    headers = request.headers
    if request.method != "POST":
        return Refusal(405, "no_post", "Send POST: GET opens no stream, and there are no sessions.", {"Allow": "POST"})
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return Refusal(415, "compressed", "Send the request without compression.", {"Accept-Encoding": "identity"})
    kinds = headers.getlist("content-type")
    if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "no_json", "Send JSON with the header Content-Type: application/json")
    if not all(check_accept_headers(request)):  # the SDK's own refusal is no JSON-RPC error from 2026-07-28 on
        return Refusal(406, "not_acceptable", "Send the header Accept: application/json, text/event-stream")
    return None


def _version_refusal(request: Request) -> Refusal | None:
    """Return the SDK's rejection of an unknown protocol version; the SDK itself reports other errors first."""
    version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER, HANDSHAKE_PROTOCOL_VERSIONS[-1])[:40]
    found = None if version in HANDSHAKE_PROTOCOL_VERSIONS else unsupported_protocol_version_rejection(version)
    if found is None:
        return None
    return Refusal(400, "unknown_version", f"{found.message}: {version}", code=found.code, data=dict(found.data or {}))


def _parse(body: bytes) -> tuple[dict[str, Any], Refusal | None]:
    """Return the members of a JSON-RPC message that are needed here, and why the body is refused, if it is."""
    if body.count(b"[") + body.count(b"{") > MOST_BRACKETS:
        return {}, Refusal(400, "large_json", f"The JSON has more than {MOST_BRACKETS} lists and objects.")
    try:
        value = _JSON.validate_json(body)
    except ValueError:
        text = "The body is not JSON in UTF-8 with whole characters, or it is nested too deeply."
        return {}, Refusal(400, "no_json", text, code=PARSE_ERROR)
    if isinstance(value, list):
        return {}, Refusal(400, "batch", "Send one JSON-RPC message in each request; MCP has no batches.")
    found = value if isinstance(value, dict) else {}
    if "id" in found and type(found["id"]) not in {str, int}:  # the SDK would take it for a notification
        return {}, Refusal(400, "odd_id", "The id of a request must be a string or a whole number.")
    kept = ("id", "method", "params") if found.get("method") == "initialize" else ("id", "method")
    known = {name: found.get(name) for name in kept}  # the rest can take much memory
    try:
        jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValueError:
        text = 'Send a JSON-RPC message: an object with "jsonrpc": "2.0", a method, and an object as its params.'
        return known, Refusal(400, "no_message", text)
    return known, None

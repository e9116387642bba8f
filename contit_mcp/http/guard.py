"""Refuse what should not reach the tools: by headers before authentication, by body and limits after it.

The order is that of cost. `HeaderGuard` looks at headers alone and protects local servers against web pages (DNS
rebinding, cross-site requests). `RequestGuard` reads a caller's whole body within limits, parses it once, and counts
the request under the limit that its JSON-RPC method names.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER, unsupported_protocol_version_rejection
from mcp_types import INVALID_REQUEST, PARSE_ERROR
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import TypeAdapter
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.http.rate import RequestRate
from contit_mcp.server.request_state import Caller, request_state
from contit_mcp.server.tenancy import owner_of_credential

SEND_SECONDS = 30.0
"""Limit for a client to make room for the next part of its answer."""

MOST_BRACKETS = 40_000
"""Lists and objects in one body. The longest prompt has 32,000 characters, and all of them may be brackets."""

DISCARD_SECONDS, DISCARD_BYTES = 3.0, 16 * 1_048_576
"""Limits for the rest of a refused request that is read and discarded, so that its client can read the answer."""

POLLS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})

LOOPBACK_HOSTS = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "[::1]", "[::1]:*")
LOOPBACK_ORIGINS = tuple(f"{scheme}://{host}" for scheme in ("http", "https") for host in LOOPBACK_HOSTS)

_SERVER_ERROR = -32000  # of a refusal that has no code of its own (JSON-RPC 2.0, 5.1)
_PORT = re.compile("[0-9]{1,5}")
_JSON = TypeAdapter[Any](Any)


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What is let in, and how much of it.

    Attributes:
        hosts: Allowed values of `Host`, `name:*` for any port; None for any.
        origins: Allowed values of `Origin`, likewise.
        largest_body: In bytes.
        body_seconds: Limit for receiving a body.
        body_budget: Bytes of all bodies that are being received or served. The manifests limit the memory to 512 MB.
        per_caller: Requests of one caller at once.
        at_once: Requests of all callers at once.
        send_seconds: Limit for a client to make room for the next part of its answer.
    """

    hosts: Sequence[str] | None = LOOPBACK_HOSTS
    origins: Sequence[str] = LOOPBACK_ORIGINS
    largest_body: int = 262_144
    body_seconds: float = 15.0
    body_budget: int = 64 * 1_048_576
    per_caller: int = 100
    at_once: int = 2_000
    send_seconds: float = SEND_SECONDS


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        status: HTTP status.
        reason: One word for logs and metrics.
        message: What happened and what to do now, in one line.
        headers: Further headers.
        fields: Further fields of the body.
        code: JSON-RPC error code, for a request that has passed authentication.
    """

    status: int
    reason: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    code: int = _SERVER_ERROR

    def response(self, scope: Scope) -> JSONResponse:
        """Return the response to a request that has not passed authentication."""
        request_state(scope).refusal = self.reason
        body = {"error": self.reason, "error_description": self.message, **self.fields}
        return _RefusalResponse(body, self.status, self.headers)

    def rpc_response(self, scope: Scope, request_id: str | int | None = None) -> JSONResponse:
        """Return the response as a JSON-RPC error, which clients show to their users."""
        request_state(scope).refusal = self.reason
        error = {"code": self.code, "message": self.message, "data": {"reason": self.reason, **self.fields}}
        return _RefusalResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, self.status, self.headers)


class _RefusalResponse(JSONResponse):
    """A response to a request whose body may not have been read.

    Most clients send the whole request before they read the answer. If the connection is closed while they send, they
    see a broken connection instead of the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Discard the rest of the request within limits, then answer. Close the connection if something is left."""
        if not request_state(scope).body_is_read and not await _discard(scope, receive):
            self.headers["Connection"] = "close"
        await super().__call__(scope, receive, send)


async def _discard(scope: Scope, receive: Receive) -> bool:
    """Return whether the request ended."""
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


def too_many(reason: str, message: str, *, status: int = 429, retry_after: int) -> Refusal:
    """Return a refusal that ends by itself after some seconds."""
    return Refusal(status, reason, message, {"Retry-After": str(retry_after)}, {"retry_after": retry_after})


DRAINING = Refusal(
    503, "draining", "This server is shutting down; ask again.", {"Retry-After": "1", "Connection": "close"}
)
"""A proxy may send the request to another replica: nothing was started."""

_CUT_OFF = Refusal(
    500,
    "cut_off",
    "This server is shutting down, and the run may have been started. Ask again in the same words to join it.",
)


class HeaderGuard:
    """ASGI middleware before authentication.

    Args:
        app: The application behind it.
        policy: Allowed hosts and origins.
    """

    def __init__(self, app: ASGIApp, policy: GuardPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if refusal := self._refusal(Headers(scope=scope)):
            await refusal.response(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> Refusal | None:
        origins = headers.getlist("origin")
        if self._policy.hosts is not None and not matches(headers.get("host", ""), self._policy.hosts):
            return Refusal(
                421, "wrong_host", "This server is not known by that name; CONTIT_MCP_ALLOWED_HOSTS lists its names."
            )
        if origins and not (len(origins) == 1 and matches(origins[0], self._policy.origins)):
            return Refusal(
                403, "foreign_origin", "Pages of this origin may not call; CONTIT_MCP_ALLOWED_ORIGINS lists those."
            )
        # Browsers leave out Origin in requests that a page sends without being allowed to read the answer.
        if not origins and {"cross-site", "same-site"} & set(headers.getlist("sec-fetch-site")):
            return Refusal(403, "cross_site", "Web pages may not call this server without an Origin header.")
        return None


def matches(value: str, allowed: Sequence[str]) -> bool:
    """Return whether a Host or Origin is in a list, where `name:*` allows any port."""
    value = value.lower()
    for pattern in allowed:
        name, star, _ = pattern.lower().rpartition(":*")
        if value == pattern.lower() or (
            star and value.startswith(f"{name}:") and _PORT.fullmatch(value, len(name) + 1)
        ):
            return True
    return False


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


class RequestGuard:
    """ASGI middleware behind authentication. The application behind it gets the whole body at once.

    Args:
        app: The application behind it.
        policy: The limits.
        rate: Requests of one caller per minute.
        in_flight: Tells whether the server is draining.
    """

    def __init__(self, app: ASGIApp, policy: GuardPolicy, rate: RequestRate, in_flight: InFlight) -> None:
        self._app = app
        self._policy = policy
        self._rate = rate
        self._in_flight = in_flight
        self._calls: Counter[str] = Counter()
        self._body_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        body = bytearray()
        try:
            refusal = _header_refusal(scope) or await self._read(scope, receive, body)
            if refusal is not None:
                await refusal.rpc_response(scope)(scope, receive, send)
            else:
                await self._serve(bytes(body), scope, receive, send)
        except ClientDisconnect:
            return  # no client is left to answer
        finally:
            self._body_bytes -= len(body)

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> Refusal | None:
        """Receive the body into `body`. Its bytes count against the budget until the request has been served."""
        largest = self._policy.largest_body
        too_large = Refusal(413, "large_body", f"The request is larger than {largest} bytes.", code=INVALID_REQUEST)
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared[:20]) > largest:
            return too_large
        with anyio.move_on_after(self._policy.body_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                if len(body) + len(chunk) > largest:
                    return too_large
                if self._body_bytes + len(chunk) > self._policy.body_budget:
                    return too_many(
                        "overloaded", "This server holds all the requests it can.", status=503, retry_after=2
                    )
                body += chunk
                self._body_bytes += len(chunk)
                if not message.get("more_body", False):
                    request_state(scope).body_is_read = True
                    return None
        return Refusal(408, "slow_body", f"The request did not arrive within {self._policy.body_seconds:.0f} s.")

    async def _serve(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        message = read_message(body)
        caller = _name_of(scope)
        refusal = self._no_room(caller)
        if refusal is None:
            self._calls[caller] += 1  # before anything is awaited, or all requests of a burst would find the same room
            try:
                refusal = await self._over_rate(caller, message) or message.problem or _version_refusal(scope)
                if refusal is None:
                    refusal = await self._pass_on(scope, _again(body, receive), send)
            finally:
                self._calls[caller] -= 1
                if not self._calls[caller]:
                    del self._calls[caller]
        if refusal is not None:
            await refusal.rpc_response(scope, message.id)(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> Refusal | None:
        """Serve the request; return a refusal if the end of a drain came before its answer."""
        began = False

        async def watch(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        with self._in_flight.one() as cancelled:
            await self._app(_plain(scope), receive, watch)
        if not cancelled.cancel_called:
            return None
        if began:  # the client sees the end of a stream instead of a broken connection
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return None
        # A run may exist for a call that has reached its tool. A proxy may send a 503 to another replica.
        return DRAINING if request_state(scope).call_span is None else _CUT_OFF

    def _no_room(self, caller: str) -> Refusal | None:
        if self._in_flight.draining:
            return DRAINING
        if self._calls.total() >= self._policy.at_once:
            return too_many(
                "overloaded", "This server has all the work it can do; ask again.", status=503, retry_after=2
            )
        if self._calls[caller] >= self._policy.per_caller:
            return too_many("too_many_calls", "Too many of your calls are in flight; wait for some.", retry_after=5)
        return None

    async def _over_rate(self, caller: str, message: "JsonRpc") -> Refusal | None:
        seconds = await self._rate.seconds_to_wait(caller, poll=message.method in POLLS)
        if seconds is None:
            return None
        return too_many("too_many_requests", f"Too many requests; go on in {seconds} s.", retry_after=seconds)


@dataclass(frozen=True, slots=True)
class JsonRpc:
    """What the guard reads of a message.

    Attributes:
        id: Its id; None for a notification, or if no id could be read.
        method: Its method.
        problem: Why it is no message that the SDK would answer in clear words.
    """

    id: str | int | None = None
    method: str | None = None
    problem: Refusal | None = None


def read_message(body: bytes) -> JsonRpc:
    """Parse a body, and return what is needed to count and to refuse it."""
    if body.count(b"[") + body.count(b"{") > MOST_BRACKETS:
        return JsonRpc(problem=_refused("large_json", f"The JSON has more than {MOST_BRACKETS} lists and objects."))
    try:
        value = _JSON.validate_json(body)
    except ValueError:
        text = "The body is not JSON in UTF-8 with whole characters, or it is nested too deeply."
        return JsonRpc(problem=_refused("no_json", text, PARSE_ERROR))
    if isinstance(value, list):
        text = "Send one JSON-RPC message in each request; batches are not part of this protocol."
        return JsonRpc(problem=_refused("batch", text))
    if not isinstance(value, dict):
        return JsonRpc(problem=_NO_MESSAGE)
    request_id, method = value.get("id"), value.get("method")
    if "id" in value and type(request_id) not in {str, int}:  # the SDK would take it for a notification
        return JsonRpc(problem=_refused("odd_id", "The id of a request must be a string or a whole number."))
    is_call = isinstance(method, str) and isinstance(value.get("params"), dict | None)
    is_response = "method" not in value and request_id is not None and ("result" in value or "error" in value)
    good = value.get("jsonrpc") == "2.0" and (is_call or is_response)
    return JsonRpc(request_id, method if is_call else None, None if good else _NO_MESSAGE)


def _refused(reason: str, message: str, code: int = INVALID_REQUEST) -> Refusal:
    return Refusal(400, reason, message, code=code)


_NO_MESSAGE = _refused(
    "no_message", 'Send a JSON-RPC message: an object with "jsonrpc": "2.0", a method, and an object as its params.'
)


def _header_refusal(scope: Scope) -> Refusal | None:
    """Return why the headers of an authenticated request are refused."""
    headers = Headers(scope=scope)
    if scope["method"] != "POST":
        return Refusal(
            405, "no_post", "Send POST: this server opens no stream by GET and has no sessions.", {"Allow": "POST"}
        )
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        accepted = {"Accept-Encoding": "identity"}
        return Refusal(415, "compressed", "Send the request without compression.", accepted, code=INVALID_REQUEST)
    kinds = headers.getlist("content-type")
    if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "no_json", "Send JSON with the header Content-Type: application/json", code=INVALID_REQUEST)
    if not all(check_accept_headers(Request(scope))):  # the SDK's own refusal is no JSON-RPC error in the newer era
        message = "Send the header Accept: application/json, text/event-stream"
        return Refusal(406, "not_acceptable", message, code=INVALID_REQUEST)
    return None


def _version_refusal(scope: Scope) -> Refusal | None:
    """Return the SDK's rejection of an unknown protocol version, which would otherwise follow its other complaints."""
    version = Headers(scope=scope).get(MCP_PROTOCOL_VERSION_HEADER, HANDSHAKE_PROTOCOL_VERSIONS[-1])[:40]
    found = None if version in HANDSHAKE_PROTOCOL_VERSIONS else unsupported_protocol_version_rejection(version)
    if found is None:
        return None
    message = f"{found.message}: {version}"
    return Refusal(400, "unknown_version", message, fields=dict(found.data or {}), code=found.code)


def _plain(scope: Scope) -> Scope:
    """Return the request as the SDK compares it: it takes some media types letter by letter."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body which has been read, and then what comes from the client."""
    left = [body]

    async def receive_again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return receive_again


def _name_of(scope: Scope) -> str:
    """Return a name that tells callers apart; it is never a credential."""
    caller = request_state(scope).caller or Caller()
    if caller.principal is not None:
        return caller.principal
    if caller.credential is not None:
        return owner_of_credential(caller.credential.identity(), "", key=b"limits")
    return "everyone"

"""Refuse what should not reach the tools: by headers before authentication, by body and limits after it.

The order is that of cost. `HeaderGuard` looks at headers alone and protects local servers against web pages (DNS
rebinding, cross-site requests). `RequestGuard` reads a caller's whole body within limits, parses it once, and counts
the request under the limit that its JSON-RPC method names.
"""

import ipaddress
import json
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import anyio
import limits
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER, unsupported_protocol_version_rejection
from mcp_types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.http.refusals import Refusal, too_many
from contit_mcp.http.requests import SEND_SECONDS, InFlight
from contit_mcp.server.request_state import Caller, request_state
from contit_mcp.server.tenancy import owner_of_credential
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32_768

BODY_SECONDS = 15.0
"""Limit for receiving a whole body."""

BODY_BUDGET = 64 * 1_048_576
"""Bytes of all bodies that are being received or served. The memory limit of the manifests is 512 MB."""

DEEPEST = 64
"""Levels of lists and objects inside each other. Our calls need six."""

MOST_BRACKETS = 40_000
"""Lists and objects in one body. The longest prompt has 32,000 characters, and all of them may be brackets."""

LONGEST_ID, LONGEST_METHOD = 1_000, 200
"""Characters. Both come back in answers and log lines."""

POLLS_PER_REQUEST = 20
"""Task polls that one caller may send for each request that it may send. A hundred tasks are polled once a second."""

POLLS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})

LOOPBACK_HOSTS = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "[::1]", "[::1]:*")
LOOPBACK_ORIGINS = tuple(f"{scheme}://{host}" for scheme in ("http", "https") for host in LOOPBACK_HOSTS)

_PORT = re.compile("[0-9]{1,5}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What is let in, and how much of it.

    Attributes:
        hosts: Allowed values of `Host`, `name:*` for any port; None for any.
        origins: Allowed values of `Origin`, likewise.
        largest_body: In bytes.
        body_seconds: Limit for receiving a body.
        body_budget: Bytes of all bodies in this process.
        per_caller: Requests of one caller at once.
        at_once: Requests of all callers at once.
        send_seconds: Limit for a client to make room for the next part of its answer.
    """

    hosts: Sequence[str] | None = LOOPBACK_HOSTS
    origins: Sequence[str] = LOOPBACK_ORIGINS
    largest_body: int = 262_144
    body_seconds: float = BODY_SECONDS
    body_budget: int = BODY_BUDGET
    per_caller: int = 100
    at_once: int = 2_000
    send_seconds: float = SEND_SECONDS


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
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await refusal.response(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        size = sum(len(name) + len(value) for name, value in headers.raw)
        if len(headers.raw) > MOST_HEADERS or size > MOST_HEADER_BYTES:
            return Refusal(431, "large_headers", "The request has too many headers, or too long ones.")
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1 or not (hosts or scope["http_version"] == "1.0"):
            return Refusal(400, "no_host", "A request must have one Host header.")
        if self._policy.hosts is not None and not (hosts and matches(hosts[0], self._policy.hosts)):
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


class RequestGuard:
    """ASGI middleware behind authentication. The application behind it gets the whole body at once.

    Args:
        app: The application behind it.
        policy: The limits.
        rate: Requests of one caller per minute.
        in_flight: Tells whether the server is draining.
    """

    def __init__(self, app: ASGIApp, policy: GuardPolicy, rate: "RequestRate", in_flight: InFlight) -> None:
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
                await refusal.rpc_response(scope, body_is_read=False)(scope, receive, send)
                return
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
            await refusal.rpc_response(scope, message.id, body_is_read=True)(scope, receive, send)

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


DRAINING = Refusal(
    503, "draining", "This server is shutting down; ask again.", {"Retry-After": "1", "Connection": "close"}
)
"""A proxy may send the request to another replica: nothing was started."""

_CUT_OFF = Refusal(
    500,
    "cut_off",
    "This server is shutting down, and the run may have been started. Ask again in the same words to join it.",
)


class RequestRate:
    """Requests of one caller per minute, counted in memory or in a Redis that replicas share.

    Args:
        per_minute: The limit. Task polls have a limit of their own, which is higher.
        redis_url: The Redis; while it cannot be used, each replica counts for itself.

    Attributes:
        local_only: Whether there is a Redis and it cannot be used.
    """

    def __init__(self, per_minute: int, *, redis_url: str | None = None) -> None:
        self._requests = limits.RateLimitItemPerMinute(per_minute)
        self._polls = limits.RateLimitItemPerMinute(per_minute * POLLS_PER_REQUEST)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = SlidingWindowCounterRateLimiter(_redis(redis_url)) if redis_url else None
        self._redis_again_at = 0.0
        self.local_only = False

    async def seconds_to_wait(self, caller: str, *, poll: bool = False) -> int | None:
        """Count one request; return None if it is within the limit."""
        if self._redis is not None and time.monotonic() >= self._redis_again_at:
            began = time.monotonic()
            try:
                seconds = await self._count(self._redis, caller, poll=poll)
            except StorageError as exc:
                self._redis_again_at = time.monotonic() + 10.0
                if not self.local_only:
                    self.local_only = True
                    log.warning("limits.local_only", error=type(exc.storage_error).__name__)
            else:
                if self.local_only and began >= self._redis_again_at:  # not one that began before the failure
                    self.local_only = False
                    log.warning("limits.shared")
                return seconds
        return await self._count(self._own, caller, poll=poll)

    async def _count(self, limiter: SlidingWindowCounterRateLimiter, caller: str, *, poll: bool) -> int | None:
        limit, kind = (self._polls, "polls") if poll else (self._requests, "requests")
        if await limiter.hit(limit, kind, caller):
            return None
        stats = await limiter.get_window_stats(limit, kind, caller)
        return max(1, min(60, math.ceil(stats.reset_time - time.time())))


def _redis(url: str) -> Storage:
    from limits.aio.storage import RedisStorage  # noqa: PLC0415 - optional
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - optional

    # In a burst, requests wait for a connection: a request that got none would be counted by this replica alone.
    pool: Any = BlockingConnectionPool.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, max_connections=20, timeout=1.0
    )
    return RedisStorage(
        f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix="contit-mcp-limits",
        connection_pool=pool,
    )  # fmt: skip


@dataclass(slots=True)
class JsonRpc:
    """What the guard reads of a message.

    Attributes:
        id: Its id; None for a notification, or if no id could be read.
        method: Its method.
        problem: Why it is no message that the SDK could answer.
    """

    id: str | int | None = None
    method: str | None = None
    problem: Refusal | None = field(default=None)


def read_message(body: bytes) -> JsonRpc:
    """Parse a body once, within limits, and return what is needed to count and to refuse it."""
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MOST_BRACKETS:
        return _broken("large_json", f"The JSON has more than {MOST_BRACKETS} lists and objects.")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
    except RecursionError:
        return _broken("deep_body", f"The JSON is nested deeper than {DEEPEST} levels.")
    except ValueError:
        return _broken("no_json", "The body is not JSON in UTF-8.", PARSE_ERROR)
    message = _envelope(value)
    if message.problem is not None:
        return message
    if brackets > DEEPEST and _is_too_deep(value):
        message.problem = _refused("deep_body", f"The JSON is nested deeper than {DEEPEST} levels.")
    elif _SURROGATE.search(body) and not _is_unicode(value):
        message.problem = _refused("no_unicode", "A text in the JSON has half of a surrogate pair.", PARSE_ERROR)
    return message


def _envelope(value: Any) -> JsonRpc:
    if isinstance(value, list):
        return _broken("batch", "Send one JSON-RPC message in each request; batches are not part of this protocol.")
    if not isinstance(value, dict):
        return _broken("no_message", "The body is not a JSON-RPC message.")
    request_id, method = value.get("id"), value.get("method")
    if "id" in value and not (
        type(request_id) in {str, int} and len(str(request_id)) <= LONGEST_ID and _is_unicode(request_id)
    ):
        return _broken(
            "odd_id", f"The id of a request must be a string or an integer of at most {LONGEST_ID} characters."
        )
    message = JsonRpc(request_id, method if isinstance(method, str) else None)
    if value.get("jsonrpc") != "2.0":
        message.problem = _refused("no_message", 'The body is not a JSON-RPC message: "jsonrpc" must be "2.0".')
    elif "method" not in value and (request_id is None or not ("result" in value or "error" in value)):
        message.problem = _refused("no_message", "The body is not a JSON-RPC message: it has no method.")
    elif "method" in value and (message.method is None or len(message.method) > LONGEST_METHOD):
        message.problem = _refused("no_message", f"The method must be a string of at most {LONGEST_METHOD} characters.")
    elif not isinstance(value.get("params"), dict | None):
        message.problem = _refused("no_params", "The params of a message must be an object.", INVALID_PARAMS)
    return message


def _broken(reason: str, message: str, code: int = INVALID_REQUEST) -> JsonRpc:
    return JsonRpc(problem=_refused(reason, message, code))


def _refused(reason: str, message: str, code: int = INVALID_REQUEST) -> Refusal:
    return Refusal(400, reason, message, code=code)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _header_refusal(scope: Scope) -> Refusal | None:
    """Return why the headers of an authenticated request are refused."""
    headers = Headers(scope=scope)
    if scope["method"] != "POST":
        return Refusal(
            405, "no_post", "Send POST: this server opens no stream by GET and has no sessions.", {"Allow": "POST"}
        )
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return Refusal(
            415, "compressed", "Send the request without compression.", {"Accept-Encoding": "identity"},
            code=INVALID_REQUEST,
        )  # fmt: skip
    kinds = headers.getlist("content-type")
    if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "no_json", "Send JSON with the header Content-Type: application/json", code=INVALID_REQUEST)
    if not all(check_accept_headers(Request(scope))):
        message = "Send the header Accept: application/json, text/event-stream"
        return Refusal(406, "not_acceptable", message, code=INVALID_REQUEST)
    return None


def _version_refusal(scope: Scope) -> Refusal | None:
    """Return the SDK's rejection of a protocol version that nobody knows, before its other complaints."""
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


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine alone. Any name but one can mean anything."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"

"""What is refused by its headers alone, before anybody asks who calls.

Host and Origin protect against DNS rebinding: a web page that reaches a server on its visitor's machine or network
under a name of its own.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from contit_mcp.http.refusals import Refusal

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32_768

_PORT = re.compile("[0-9]{1,5}")

LOOPBACK_HOSTS = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "[::1]", "[::1]:*")
LOOPBACK_ORIGINS = tuple(f"{scheme}://{host}" for scheme in ("http", "https") for host in LOOPBACK_HOSTS)


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """Which headers pass.

    Attributes:
        hosts: What `Host` may be, `name:*` for any port; None for anything.
        origins: What `Origin` may be, likewise. A request without one does not come from a web page, and passes.
    """

    hosts: Sequence[str] | None = LOOPBACK_HOSTS
    origins: Sequence[str] = LOOPBACK_ORIGINS


class Gate:
    """ASGI middleware before `/mcp`.

    Args:
        app: What is behind it.
        policy: What passes.
    """

    def __init__(self, app: ASGIApp, policy: GatePolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await refusal.response(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        if refusal := too_large_headers(scope):
            return refusal
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1 or not (hosts or scope["http_version"] == "1.0"):
            return Refusal(400, "no_host", "A request names the host it is for, once.")
        if self._policy.hosts is not None and not (hosts and _matches(hosts[0], self._policy.hosts)):
            return Refusal(
                421, "wrong_host", "This server is not known by that name; CONTIT_MCP_ALLOWED_HOSTS lists its names."
            )
        if origins and not (len(origins) == 1 and _matches(origins[0], self._policy.origins)):
            return Refusal(
                403, "foreign_origin", "Pages of this origin may not call; CONTIT_MCP_ALLOWED_ORIGINS lists those."
            )
        return None


def too_large_headers(scope: Scope) -> Refusal | None:
    """A refusal of headers that are too many or too long."""
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > MOST_HEADER_BYTES:
        return Refusal(431, "large_headers", "The request has too many headers, or too long ones.")
    return None


def _matches(value: str, allowed: Sequence[str]) -> bool:
    value = value.lower()
    for pattern in allowed:
        name, star, _ = pattern.lower().rpartition(":*")
        if value == pattern.lower() or (
            star and value.startswith(f"{name}:") and _PORT.fullmatch(value, len(name) + 1)
        ):
            return True
    return False


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone. A name, but for one, can mean anything."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"

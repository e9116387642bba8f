"""The typed state of one request, which the HTTP layers and the tool call share through one key of the scope."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.trace import SpanContext

if TYPE_CHECKING:  # start-up time: it brings httpx along
    from contit_mcp.contit.auth import Credential


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller.

    Attributes:
        mode: The mode that authenticated it.
        issuer: The issuer of its JWT, without a slash at the end. A subject is unique within one issuer only.
        principal: The name of its token or the subject of its JWT; it asks with the server's credential.
        credential: Its own credential for Contit, where it brings one.
    """

    mode: Literal["none", "token", "jwt", "caller"] = "none"
    issuer: str | None = None
    principal: str | None = None
    credential: "Credential | None" = None


class Sharing(Enum):
    """Whose credential Contit gets, and how callers are distinguished."""

    ONE_CALLER = "one caller"
    """The server's own, for every caller: the one user of this machine."""
    BY_PRINCIPAL = "by principal"
    """The server's own, for identified callers. They see handles, never Contit's ids."""
    BY_CREDENTIAL = "by credential"
    """Each caller's own."""


@dataclass(slots=True)
class RequestState:
    """The state of one request.

    Attributes:
        caller: Set by authentication; None where the transport authenticates nobody (stdio).
        call_span: The span of the tool call, once the request has reached a tool.
        refusal: Why the request was refused, for the access log and the metrics.
        body: Its body, once it has been received to its end.
    """

    caller: Caller | None = None
    call_span: SpanContext | None = None
    refusal: str | None = None
    body: bytes | None = None


def request_state(scope: MutableMapping[str, Any]) -> RequestState:
    """Return the state of the request with this ASGI scope; the first call creates it."""
    state: RequestState = scope.setdefault(_KEY, RequestState())
    return state


_KEY = "contit_mcp.request_state"

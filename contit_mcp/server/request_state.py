"""The typed state of one request, which the HTTP layers and the tool call share through one key of the scope."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext

if TYPE_CHECKING:  # start-up time: it brings httpx along
    from contit_mcp.contit.auth import Credential


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: by the name of a token or the subject of a JWT, or with a credential of its own for Contit."""

    issuer: str | None = None  # without a slash at its end; a subject is unique within one issuer only
    principal: str | None = None
    credential: "Credential | None" = None


@dataclass(slots=True)
class RequestState:
    """What the layers of one HTTP request tell each other."""

    caller: Caller | None = None  # set by authentication
    call_span: SpanContext | None = None  # once the request has reached a tool
    refusal: str | None = None  # why it was refused, for the access log and the metrics
    body: bytes | None = None  # once it has been received to its end


def request_state(scope: MutableMapping[str, Any]) -> RequestState:
    """Return the state of the request with this ASGI scope; the first call creates it."""
    state: RequestState = scope.setdefault("contit_mcp.request_state", RequestState())
    return state

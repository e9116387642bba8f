"""What all calls of one process share (`AppContext`), and what the layers of one request share (`RequestState`)."""

from collections.abc import MutableMapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio
from opentelemetry.trace import SpanContext

from contit_mcp.config.settings import Settings
from contit_mcp.server.host_waits import WaitPolicy
from contit_mcp.telemetry.call_stats import NULL_LISTENER, Listener, Reachability

if TYPE_CHECKING:  # start-up time
    import httpx

    from contit_mcp.contit.auth import Credential
    from contit_mcp.runs.store import RunStore
    from contit_mcp.server.services import Services
    from contit_mcp.telemetry.metrics import Metrics


@dataclass(eq=False, repr=False)
class AppContext:
    """The settings of one process, and the services that its calls use.

    Several asyncio tasks can be in `async with`. The last to leave closes connections and files; a call reopens them.
    """

    settings: Settings
    _: KW_ONLY
    auth: Literal["none", "token", "jwt", "caller"] = "none"  # HTTP passes settings.auth; elsewhere one user calls
    transport: "httpx.AsyncBaseTransport | None" = None  # replaces the network
    store: "RunStore | None" = None  # replaces the store of the settings
    replays: bool = True  # whether a repeated question gets an answer again that may have come too late for its host
    metrics: "Metrics | None" = None
    store_listener: Listener = NULL_LISTENER  # notified when the store fails or is back, if there are no metrics
    calls_in_flight: int = field(default=0, init=False)
    reachability: Reachability = field(default_factory=Reachability, init=False)
    tools_listed: anyio.Event = field(default_factory=anyio.Event, init=False)  # set when a host has listed them
    _services: "Services | None" = field(default=None, init=False)
    _inside: int = field(default=0, init=False)  # asyncio tasks inside `async with`
    _closing: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.waits = WaitPolicy(self.settings.wait_seconds, self.settings.max_wait_seconds)
        if self.settings.seal_keys():
            self.services()  # a seal key that cannot be used is refused before anything is served

    def services(self) -> "Services":
        """Return the services, which open files and connections when used first. Call it on the event loop's thread."""
        if self._services is None:
            from contit_mcp.server.services import Services  # noqa: PLC0415 - start-up time

            self._services = Services(self)
            if self._closing:
                self._services.drain.close()
        return self._services

    def close(self, *, late_calls: bool = False) -> None:
        """Start no more runs, and end every wait now; each waiting call returns its ids.

        `late_calls`: calls that were accepted before have a second to reach their start.
        """
        self._closing = True
        if self._services is not None:
            self._services.drain.close(late_calls=late_calls)

    async def __aenter__(self) -> Self:
        self._inside += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._inside -= 1
        if not self._inside and self._services is not None:
            with anyio.CancelScope(shield=True):
                await self._services.aclose()


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request, as authentication found it. All fields are None for the user of stdio or mode `none`."""

    issuer: str | None = None  # `jwt`: without a slash at its end; a subject is unique within one issuer only
    principal: str | None = None  # `token`: the name of the token; `jwt`: the subject
    credential: "Credential | None" = None  # `caller`: the caller's own, for Contit


@dataclass(slots=True)
class RequestState:
    """What the layers of one HTTP request tell each other."""

    caller: Caller | None = None  # set by authentication
    call_span: SpanContext | None = None  # once the request has a `Call`
    refusal: str | None = None  # why it was refused, for the access log and the metrics
    body: bytes | None = None  # once it has been received to its end


def request_state(scope: MutableMapping[str, Any]) -> RequestState:
    """Return the state of the request with this ASGI scope; the first call creates it."""
    state: RequestState = scope.setdefault("contit_mcp.request_state", RequestState())
    return state

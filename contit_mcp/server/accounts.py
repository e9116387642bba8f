"""What one call comes to: a line in the log and a count, however it ends."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.context import ServerRequestContext
from opentelemetry import trace

from contit_mcp.server.bridge import Bridge
from contit_mcp.server.host_waits import read_user_agent
from contit_mcp.server.progress import CallObserver
from contit_mcp.server.request_state import Caller, RequestState, request_state
from contit_mcp.telemetry.call_stats import start_tally
from contit_mcp.telemetry.finished_call import FinishedCall
from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:  # start-up time: it brings the core along, and httpx
    from contit_mcp.server.owned import OwnedAssistant

log = get_logger(__name__)

Request = ServerRequestContext[Any, Any]


@dataclass(slots=True)
class Account:
    """One call while it runs.

    Attributes:
        host: The name of the caller's host, where it gives one.
        host_version: Its version.
        observer: Knows the run.
        facts: What is logged beside what is known of every call; its outcome first of all.
    """

    host: str | None
    host_version: str | None
    observer: CallObserver
    facts: dict[str, Any] = field(default_factory=lambda: {"outcome": "cancelled"})

    def open_assistant(self, bridge: Bridge, request: Request) -> "OwnedAssistant":
        """The assistant for whoever calls.

        Raises:
            ConfigurationError: See `Bridge.for_caller`.
        """
        assistant = bridge.for_caller(_caller_of(request))
        self.observer.shown = assistant.shown
        self.facts["owner"] = assistant.owner
        return assistant


@contextmanager
def accounted(name: str, request: Request, bridge: Bridge, *, level: int = logging.INFO) -> Iterator[Account]:
    """While inside, a call is under way; then it is logged, at that level, and counted under that name."""
    tally = start_tally()
    state = _state_of(request)
    account = Account(*_host_of(request), CallObserver(None if state is None else state.notes))
    observer = account.observer
    if state is not None:
        state.call_span = trace.get_current_span().get_span_context()
    began = anyio.current_time()
    bridge.calls_in_flight += 1
    try:
        yield account
    finally:
        bridge.calls_in_flight -= 1
        seconds = round(anyio.current_time() - began, 3)
        bridge.on_finished(FinishedCall(name, str(account.facts["outcome"]), seconds, tally, _trace_id()))
        log.log(
            level,
            "call.finished",
            tool=name,
            thread_id=observer.thread_id,
            run_id=observer.run_id,
            seconds=seconds,
            polls=tally.polls,
            requests=tally.requests,
            retries=tally.retries,
            store_errors=tally.store_errors,
            host=account.host,
            host_version=account.host_version,
            protocol=request.protocol_version,
            request_id=str(request.request_id),
            **account.facts,
        )


def _host_of(request: Request) -> tuple[str | None, str | None]:
    """The host's name and version, where it gives them."""
    params = request.session.client_params
    if params is not None and params.client_info is not None:
        return _short(params.client_info.name), _short(params.client_info.version)
    # Over stateless HTTP of the handshake era there is none; there the User-Agent says it.
    headers = getattr(request.request, "headers", None) or {}
    name, version = read_user_agent(headers.get("user-agent", ""))
    return (_short(name) or None), (_short(version) or None)


def _caller_of(request: Request) -> Caller:
    """Whom an authenticating transport has found; a caller without marks over stdio."""
    state = _state_of(request)
    return Caller() if state is None or state.caller is None else state.caller


def _state_of(request: Request) -> RequestState | None:
    """The state of the HTTP request; over stdio there is none."""
    scope = getattr(request.request, "scope", None)
    return None if scope is None else request_state(scope)


def _short(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:60]


def _trace_id() -> str | None:
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else None

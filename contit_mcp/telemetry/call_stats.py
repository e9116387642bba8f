"""Count requests to Contit and other events at the moment they happen: for one call, and for the whole process."""

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, Protocol

Event = Literal["retry", "poll", "join", "store_error"]
"""A repeated request, a status question, an ask that joined a run, and a failed use of the run store."""

POOL = "pool"
"""In place of a status: no connection of our own was free, so that nothing was sent."""

NO_ANSWER = "none"
"""In place of a status: Contit could not be reached, or the exchange with it broke."""

CANCELLED = "cancelled"
"""In place of a status: the caller left, or its time was over, before the answer was complete."""


class Listener(Protocol):
    """Receives every event of the process, whichever call it belongs to; metrics implement it."""

    def on_request(self, endpoint: str, status: str, seconds: float) -> None:
        """Count a finished request.

        Args:
            endpoint: "start", "status", "response" or "token".
            status: The HTTP status as text, or `POOL`, `NO_ANSWER` or `CANCELLED`.
            seconds: From sending to the end of the body.
        """
        ...

    def on_event(self, event: Event) -> None:
        """Count another event."""
        ...


_listeners: list[Listener] = []


def add_listener(listener: Listener) -> None:
    """Tell `listener` of every event from now on."""
    _listeners.append(listener)


def remove_listener(listener: Listener) -> None:
    """Tell `listener` of no further event."""
    _listeners.remove(listener)


@dataclass(slots=True)
class CallStats:
    """Counters of one call. Every event that is counted here is also told to the listeners of the process.

    Attributes:
        requests: HTTP requests to Contit and the token endpoint, without those that got no connection of our own.
        retries: Requests repeated because one failed.
        polls: Status questions asked.
        store_errors: Times that the run store could not be used.
        joins: Asks that joined a run instead of starting one.
        statuses: Finished requests by status (see `Listener.on_request`).
    """

    requests: int = 0
    retries: int = 0
    polls: int = 0
    store_errors: int = 0
    joins: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    def count_request(self, endpoint: str, status: str, seconds: float) -> None:
        """Count a finished request; the arguments are those of `Listener.on_request`."""
        self.requests += status != POOL
        self.statuses[status] += 1
        for listener in _listeners:
            listener.on_request(endpoint, status, seconds)

    def count(self, event: Event) -> None:
        """Count another event."""
        match event:
            case "retry":
                self.retries += 1
            case "poll":
                self.polls += 1
            case "join":
                self.joins += 1
            case "store_error":
                self.store_errors += 1
        for listener in _listeners:
            listener.on_event(event)


_current: ContextVar[CallStats | None] = ContextVar("contit_mcp_call_stats", default=None)


def start_call_stats() -> CallStats:
    """Begin to count for the current task and the tasks it starts."""
    stats = CallStats()
    _current.set(stats)
    return stats


def current_call_stats() -> CallStats:
    """Return the counters of the call that this task works for; outside of any call, counters that nobody reads."""
    return _current.get() or CallStats()


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """A tool call that has ended.

    Attributes:
        tool: Its name.
        outcome: The result's status, the error's class, or "cancelled".
        seconds: How long it took.
        stats: The counters of the call.
        trace_id: Finds it in logs and traces.
    """

    tool: str
    outcome: str
    seconds: float
    stats: CallStats
    trace_id: str | None

"""Count events as they happen, for one call and for the server; and judge by the requests whether Contit answers."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

import anyio

from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

# join: an ask was deduplicated; held: a start was not sent, because Contit had asked for a pause
Event = Literal["retry", "poll", "join", "store_error", "held"]

RunState = Literal["waited for", "polled"]  # a run that callers here wait for can be polled by another replica

# Used instead of an HTTP status
POOL = "pool"  # no connection of our own was free, so nothing was sent
NO_RESPONSE = "none"  # Contit could not be reached, or the exchange broke
CANCELLED = "cancelled"  # the caller left, or its time ended, before the response was complete


class Listener:
    """Receives the events of a server; this base class ignores them. Methods return at once and raise nothing."""

    def on_request(self, endpoint: str, status: str, seconds: float) -> None:
        """A request has finished; `status` is the HTTP status, or `POOL`, `NO_RESPONSE` or `CANCELLED`."""

    def on_connection(self, seconds: float) -> None:
        """A request got one of our connections after waiting this long for it."""

    def on_event(self, event: Event) -> None:
        """Another event of a call has happened."""

    def run_ended(self, end: str, seconds: float | None) -> None:
        """A run's end ("completed" or a `Failure`) was seen, first in any process, `seconds` after its start."""

    def run_in(self, state: RunState) -> AbstractContextManager[object]:
        """Return a context manager, to be entered while this process polls a run, or its callers wait for one."""
        return nullcontext(state)

    def store_use(self, operation: str) -> AbstractContextManager[object]:
        """Return a context manager, to be entered for one operation of the store; an error in it is a failure."""
        return nullcontext(operation)

    def store_usable(self, *, usable: bool) -> None:
        """The store can no longer be used, or can be used again."""

    def store_slow(self, *, slow: bool) -> None:
        """The store has become slow, or fast again."""


NULL_LISTENER = Listener()


@dataclass(slots=True)
class CallStats:
    """Counters of one call. Every event is also reported to the listener."""

    listener: Listener = NULL_LISTENER
    requests: int = 0  # to Contit and the token endpoint, without those that got none of our connections
    statuses: Counter[str] = field(default_factory=Counter)  # of finished requests: HTTP statuses, `POOL`, …
    events: Counter[Event] = field(default_factory=Counter)

    def count_request(self, endpoint: str, status: str, seconds: float) -> None:
        """Count a finished request; the arguments are those of `Listener.on_request`."""
        self.requests += status != POOL
        self.statuses[status] += 1
        self.listener.on_request(endpoint, status, seconds)

    def count(self, event: Event) -> None:
        """Count another event."""
        self.events[event] += 1
        self.listener.on_event(event)


_current: ContextVar[CallStats | None] = ContextVar("contit_mcp_call_stats", default=None)


def start_call_stats(listener: Listener = NULL_LISTENER) -> CallStats:
    """Start counting for the current asyncio task and those that it starts."""
    stats = CallStats(listener)
    _current.set(stats)
    return stats


def current_call_stats() -> CallStats:
    """Return the counters of the call that this asyncio task works for; outside of a call, unused new ones."""
    return _current.get() or CallStats()


_ROW = 3  # this many failures in a row are an outage
_SILENT_READS, _SILENT_SECONDS = 5, 1.0  # this many reads that wait this long are silence; a read takes milliseconds
_LONE_SILENT_SECONDS = 10.0  # any request that waits this long is silence too; a start may take seconds
_SETTLED_SECONDS = 3.0  # without a failure until Contit is back, so that alternating failures are one change of state
_CHECK_SECONDS = 0.25


class Reachability:
    """Whether Contit answers, judged by all requests of one process. Each change is one WARNING in the log.

    A 429, a 5xx, and a connection that broke or was not made are failures. Silence, while Contit takes requests and
    answers none, is no failure yet: `watch` notices it long before the requests reach their time limits.
    """

    def __init__(self) -> None:
        self.reachable = True
        self._waiting: dict[object, tuple[float, bool]] = {}  # when it was sent, and whether it is a read
        self._failures = 0
        self._answered_at = self._failed_at = self._lost_at = -math.inf

    @property
    def in_flight(self) -> int:
        """How many requests have no response yet."""
        return len(self._waiting)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest request has waited for its response; 0 without requests."""
        return max((anyio.current_time() - sent for sent, _ in self._waiting.values()), default=0.0)

    @contextmanager
    def waiting(self, *, read: bool) -> Iterator[None]:
        """Count a request as waiting while inside."""
        request = object()
        self._waiting[request] = (anyio.current_time(), read)
        try:
            yield
        finally:
            del self._waiting[request]

    def answered(self) -> None:
        """Report a response that is not a failure."""
        self._answered_at, self._failures = anyio.current_time(), 0
        self.check()

    def failed(self, cause: str) -> None:
        """Report a failure; `cause` is its status, or the class of its error."""
        self._failed_at = anyio.current_time()
        self._failures += 1
        if self._failures >= _ROW and self.reachable:
            self._lost(cause)

    def check(self) -> None:
        """Check whether silence has begun, or an outage has ended."""
        now = anyio.current_time()
        unanswered = [(sent, read) for sent, read in self._waiting.values() if sent > self._answered_at]
        silent_reads = sum(read and sent < now - _SILENT_SECONDS for sent, read in unanswered)
        silent = silent_reads >= _SILENT_READS or any(sent < now - _LONE_SILENT_SECONDS for sent, _ in unanswered)
        bad_at = max(self._failed_at, self._lost_at)
        if self.reachable and silent:
            self._lost("silence")
        elif not self.reachable and not silent and self._answered_at > bad_at and now - bad_at >= _SETTLED_SECONDS:
            log.warning("contit.back", seconds=round(now - self._lost_at, 3))
            self.reachable = True

    async def watch(self) -> None:
        """Check repeatedly, until cancelled."""
        while True:
            await anyio.sleep(_CHECK_SECONDS)
            self.check()

    def _lost(self, cause: str) -> None:
        log.warning("contit.unreachable", cause=cause, requests=self.in_flight)
        self.reachable, self._lost_at = False, anyio.current_time()

"""What one call cost upstream: counted where it happens, read where the call is logged."""

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counters of one call.

    Attributes:
        requests: HTTP requests sent to Contit.
        retries: Requests repeated because one failed.
        polls: Status questions asked.
        store_errors: Times that the run store could not be used.
        joins: Runs joined instead of started.
        statuses: Answers of Contit by HTTP status; "none" for no answer.
    """

    requests: int = 0
    retries: int = 0
    polls: int = 0
    store_errors: int = 0
    joins: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


_current: ContextVar[Tally | None] = ContextVar("contit_mcp_tally", default=None)


def start_tally() -> Tally:
    """Begin counting for the current task and the tasks it starts."""
    tally = Tally()
    _current.set(tally)
    return tally


def current_tally() -> Tally:
    """The counters of the call that this task works for; a throw-away one outside of any call."""
    return _current.get() or Tally()

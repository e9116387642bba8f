"""What a sandbox has seen, for tests to look at: `app.state.sandbox`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contit_mcp.sandbox.fault_plan import FaultPlan
    from contit_mcp.sandbox.faults import Fault
    from contit_mcp.sandbox.threads import Run, Threads

_REQUESTS_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it arrived and what became of it. Holds no credential, query string or body."""

    method: str
    path: str
    """The path as it was sent, still percent-encoded."""
    endpoint: str
    """start, status, response, token; or other, for a path the sandbox does not know."""
    status: int | None
    """The HTTP status of the answer; None: the connection was dropped."""
    at: float
    """When it arrived, on the sandbox's clock."""
    fault: Fault | None = None
    """The fault it met."""


@dataclass
class SandboxRecord:
    """What tests see of a sandbox, and the one thing they may change while it runs: its faults."""

    _plan: FaultPlan
    _threads: Threads
    _requests: deque[SeenRequest] = field(default_factory=lambda: deque(maxlen=_REQUESTS_KEPT))

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request so far, oldest first (the last 50,000)."""
        return list(self._requests)

    @property
    def runs(self) -> list[Run]:
        """Every run that was started."""
        return self._threads.runs()

    def add_fault(self, fault: Fault) -> None:
        """Let something go wrong from now on, after the faults that are already planned."""
        self._plan.add(fault)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more; what has already happened to a run stays."""
        self._plan.clear()

    def note(self, request: SeenRequest) -> None:
        """Add a request to the record."""
        self._requests.append(request)

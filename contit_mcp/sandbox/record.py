"""What a sandbox has seen and what a test may change while it runs: `app.state.sandbox`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.faults import FaultPlan

if TYPE_CHECKING:
    from contit_mcp.sandbox.faults import Fault
    from contit_mcp.sandbox.scripted import ScriptedAnswer, ScriptedAnswers
    from contit_mcp.sandbox.threads import Run, Threads

REQUESTS_KEPT: Final = 50_000


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it arrived, and its outcome. Contains no credential, query string or body."""

    method: str
    path: str
    """The path as it was sent, still percent-encoded."""
    endpoint: str
    """start, status, response, token; "other" for a path that the sandbox does not know."""
    status: int | None
    """The HTTP status of the answer; None: the connection was dropped."""
    at: float
    """When it arrived, on the sandbox's clock."""
    fault: Fault | None = None
    """The fault that it met."""


@dataclass
class SandboxRecord:
    """The requests and runs that a sandbox has seen, and its faults and scripted answers, which a test may change."""

    plan: FaultPlan
    threads: Threads
    answers: ScriptedAnswers
    initial_faults: tuple[Fault, ...]
    _requests: deque[SeenRequest] = field(default_factory=lambda: deque(maxlen=REQUESTS_KEPT))

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request so far, oldest first (the last 50,000)."""
        return list(self._requests)

    @property
    def runs(self) -> list[Run]:
        """Every run that was started, by conversation."""
        return self.threads.runs()

    def add_fault(self, fault: Fault) -> None:
        """Add a fault behind those that are already planned."""
        self.plan.add(fault)

    def clear_faults(self) -> None:
        """Remove every planned fault; runs that already failed stay failed."""
        self.plan.clear()

    def add_answer(self, answer: ScriptedAnswer) -> None:
        """Add a scripted answer behind those of the file."""
        self.answers.add(answer)

    def reset(self) -> None:
        """Return to the state of the start: no requests, no conversations, the faults and answers of the options."""
        self._requests.clear()
        self.threads.clear()
        self.plan.clear()
        for fault in self.initial_faults:
            self.plan.add(fault)
        self.answers.reset()

    def note(self, request: SeenRequest) -> None:
        """Add a request to the record."""
        self._requests.append(request)

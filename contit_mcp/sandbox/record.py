"""Conversations, runs and requests of a sandbox, and what a test may change while it runs: `app.state.sandbox`.

No task runs in the background: the state of a run is computed when it is asked for.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from contit_mcp.sandbox.answer import Turn
from contit_mcp.sandbox.faults import Fault, FaultPlan
from contit_mcp.sandbox.scripted import ScriptedAnswer, ScriptedAnswers

REQUESTS_KEPT: Final = 50_000
THREADS_KEPT: Final = 20_000
RUNS_KEPT: Final = 1_000
"""Runs of one thread; at each limit the oldest is dropped."""


@dataclass(frozen=True)
class Run:
    """One prompt and its answer, both known from the start. `ends` is on the sandbox's clock; infinity is never."""

    thread_id: str
    run_id: str
    prompt: str
    turn: Turn
    started: float
    ends: float
    fails: bool = False

    def status(self, now: float) -> Literal["in_progress", "completed", "failed"]:
        """Return the state of the run, in one of the three words that the API documents."""
        return "in_progress" if now < self.ends else "failed" if self.fails else "completed"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it arrived, and its outcome. Contains no credential, query string or body.

    `path` is percent-encoded as it was sent. `endpoint` is "other" for a path that the sandbox does not know. `status`
    is None where the connection was dropped. `at` is on the sandbox's clock.
    """

    method: str
    path: str
    endpoint: str
    status: int | None
    at: float
    fault: Fault | None = None


class SandboxRecord:
    """The requests and runs that a sandbox has seen, and its faults and scripted answers, which a test may change."""

    def __init__(
        self, clock: Callable[[], float], faults: tuple[Fault, ...], answers: tuple[ScriptedAnswer, ...]
    ) -> None:
        self._clock = clock
        self._initial_faults = faults
        self.answers = ScriptedAnswers(answers)
        self.threads: OrderedDict[str, list[Run]] = OrderedDict()
        """The runs of each thread, oldest first."""
        self._requests: deque[SeenRequest] = deque(maxlen=REQUESTS_KEPT)
        self.plan = FaultPlan(faults)

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request so far, oldest first (the last 50,000)."""
        return list(self._requests)

    @property
    def runs(self) -> list[Run]:
        """Every run that was started, by conversation."""
        return [run for runs in self.threads.values() for run in runs]

    def add_fault(self, fault: Fault) -> None:
        """Add a fault behind those that are already planned."""
        self.plan.add(fault)

    def clear_faults(self) -> None:
        """Remove every planned fault; runs that already failed stay failed."""
        self.plan = FaultPlan()

    def reset(self) -> None:
        """Return to the state of the start: no requests, no conversations, the faults and answers of the options."""
        self._requests.clear()
        self.threads.clear()
        self.plan = FaultPlan(self._initial_faults)
        self.answers.reset()

    def note(self, request: SeenRequest) -> None:
        """Add a request."""
        self._requests.append(request)

    def start(self, run: Run) -> None:
        """Add a run to its thread, which may be new."""
        while len(self.threads) >= THREADS_KEPT and run.thread_id not in self.threads:
            self.threads.popitem(last=False)
        self.threads[run.thread_id] = [*self.threads.get(run.thread_id, [])[-RUNS_KEPT + 1 :], run]

    def busy(self, thread_id: str) -> bool:
        """Return whether a run of a thread has not ended yet."""
        return any(run.status(self._clock()) == "in_progress" for run in self.threads.get(thread_id, ()))

    def latest_completed(self, thread_id: str) -> Run | None:
        """Return the run of a thread that completed last."""
        completed = [run for run in self.threads.get(thread_id, ()) if run.status(self._clock()) == "completed"]
        return max(completed, key=lambda run: run.ends, default=None)

    def last_turn(self, thread_id: str) -> Turn | None:
        """Return the last answer of a thread; failed runs do not count."""
        return next((run.turn for run in reversed(self.threads.get(thread_id, [])) if not run.fails), None)

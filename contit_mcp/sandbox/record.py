"""Conversations, runs and requests of a sandbox, its faults and scripted answers: `app.state.sandbox`.

No task runs in the background: the state of a run is computed when it is asked for.
"""

import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from contit_mcp.sandbox.answer import Turn
from contit_mcp.sandbox.options import MAX_ANSWERS, AnswersError, Endpoint, Fault, SandboxOptions, ScriptedAnswer

MAX_FAULTS: Final = 1_000
"""How many faults may be pending."""
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
        self, clock: Callable[[], float], options: SandboxOptions, answers: tuple[ScriptedAnswer, ...]
    ) -> None:
        self._clock = clock
        self._initial = options.faults, answers
        self.threads: OrderedDict[str, list[Run]] = OrderedDict()
        """The runs of each thread, oldest first."""
        self._requests: deque[SeenRequest] = deque(maxlen=options.requests_kept)
        self.reset()

    def reset(self) -> None:
        """Return to the state of the start: no requests, no conversations, the faults and answers of the options."""
        self._requests.clear()
        self.threads.clear()
        self._faults: list[tuple[Fault, int]] = []
        self._answers: list[tuple[ScriptedAnswer, int]] = []
        self.add(*self._initial)

    def add(self, faults: Iterable[Fault] = (), answers: Iterable[ScriptedAnswer] = ()) -> None:
        """Add faults and scripted answers behind those that are there. Raises ValueError at their limits."""
        for fault in faults:
            self.add_fault(fault)
        for answer in answers:
            if len(self._answers) >= MAX_ANSWERS:
                raise AnswersError(f"there are {MAX_ANSWERS:,} scripted answers, which is the limit")
            self._answers.append((answer, answer.times or sys.maxsize))

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request so far, oldest first; as many as the options keep."""
        return list(self._requests)

    @property
    def runs(self) -> list[Run]:
        """Every run that was started, by conversation."""
        return [run for runs in self.threads.values() for run in runs]

    def note(self, request: SeenRequest) -> None:
        """Add a request."""
        self._requests.append(request)

    # Faults

    @property
    def faults(self) -> list[Fault]:
        """The faults that are still to come."""
        return [fault for fault, _ in self._faults]

    def add_fault(self, fault: Fault) -> None:
        """Add a fault behind those that are pending. Raises ValueError at the limit."""
        if len(self._faults) >= MAX_FAULTS:
            raise ValueError(f"{MAX_FAULTS:,} faults are pending; clear them before you add more")
        self._faults.append((fault, 0))

    def clear_faults(self) -> None:
        """Remove every pending fault; runs that already failed stay failed."""
        self._faults.clear()

    def next_fault(self, endpoint: Endpoint) -> Fault | None:
        """Return the fault that a request meets: the first that is due. Faults behind it do not count the request."""
        for at, (fault, seen) in enumerate(self._faults):
            if fault.happens_on(endpoint):
                self._faults[at] = (fault, seen + 1)
                if seen >= fault.after:
                    if fault.times is not None and seen + 1 >= fault.after + fault.times:
                        del self._faults[at]
                    return fault
        return None

    def next_answer(self, prompt: str) -> tuple[ScriptedAnswer, str | None] | None:
        """Return the first scripted answer that matches a prompt and its text, and count it."""
        for at, (answer, left) in enumerate(self._answers):
            matches, text = answer.text_for(prompt)
            if matches:
                self._answers[at : at + 1] = [(answer, left - 1)] if left > 1 else []
                return answer, text
        return None

    # Runs

    def start(self, run: Run) -> None:
        """Add a run to its thread, which may be new."""
        while len(self.threads) >= THREADS_KEPT and run.thread_id not in self.threads:
            self.threads.popitem(last=False)
        self.threads[run.thread_id] = [*self.threads.get(run.thread_id, [])[-RUNS_KEPT + 1 :], run]

    def with_status(self, thread_id: str, status: str) -> list[Run]:
        """Return the runs of a thread that are in a state now, oldest first."""
        now = self._clock()
        return [run for run in self.threads.get(thread_id, ()) if run.status(now) == status]

    def last_turn(self, thread_id: str) -> Turn | None:
        """Return the last answer of a thread; failed runs do not count."""
        return next((run.turn for run in reversed(self.threads.get(thread_id, [])) if not run.fails), None)

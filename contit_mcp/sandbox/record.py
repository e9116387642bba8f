"""Conversations, runs and requests of a sandbox, its faults and scripted answers: `app.state.sandbox`.

No task runs in the background: the state of a run is computed when it is asked for.
"""

import sys
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from contit_mcp.sandbox.answer import Turn
from contit_mcp.sandbox.options import MAX_ANSWERS, DataError, Endpoint, Fault, ScriptedAnswer

MAX_FAULTS: Final = 1_000
THREADS_KEPT: Final = 20_000
RUNS_KEPT_PER_THREAD: Final = 1_000
REQUESTS_KEPT: Final = 50_000


@dataclass(frozen=True)
class Run:
    """One prompt and its answer, both known from the start. `ends` is on the sandbox's clock; infinity is never."""

    thread_id: str
    run_id: str
    prompt: str
    turn: Turn
    ends: float
    fails: bool = False

    def status(self, now: float) -> Literal["in_progress", "completed", "failed"]:
        """Return the state of the run, in one of the three words that the API documents."""
        return "in_progress" if now < self.ends else "failed" if self.fails else "completed"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it arrived, and its outcome. Contains no credential, query string or body.

    `path` is percent-encoded as it was sent. `endpoint` is "other" for a path that the sandbox does not know. `status`
    is None where the connection was dropped. `at` is on the sandbox's clock. `fault` is the kind of a fault.
    """

    method: str
    path: str
    endpoint: str
    status: int | None
    at: float
    fault: str | None = None


class SandboxRecord:
    """The requests and runs that a sandbox has seen, and its faults and scripted answers, which a test may change."""

    def __init__(self, faults: Iterable[Fault], answers: Iterable[ScriptedAnswer]) -> None:
        self._initial = faults, answers
        self.reset()

    def reset(self) -> None:
        """Return to the state of the start: no requests, no conversations, the faults and answers of the options."""
        self.requests: list[SeenRequest] = []
        self.threads: OrderedDict[str, list[Run]] = OrderedDict()
        self._faults: list[tuple[Fault, int]] = []
        """Each pending fault, and how many requests have counted for it."""
        self._answers: list[tuple[ScriptedAnswer, int]] = []
        """Each scripted answer, and how many prompts it still answers."""
        self.add(*self._initial)

    def add(self, faults: Iterable[Fault] = (), answers: Iterable[ScriptedAnswer] = ()) -> None:
        """Add faults and scripted answers behind those that are pending. Raises ValueError at their limits."""
        for fault in faults:
            self.add_fault(fault)
        self._answers += [(answer, answer.times or sys.maxsize) for answer in answers]
        if len(self._answers) > MAX_ANSWERS:
            del self._answers[MAX_ANSWERS:]
            raise DataError(f"there are {MAX_ANSWERS:,} scripted answers, which is the limit")

    def add_fault(self, fault: Fault) -> None:
        """Add a fault behind those that are pending. Raises ValueError at the limit."""
        if len(self._faults) >= MAX_FAULTS:
            raise ValueError(f"{MAX_FAULTS:,} faults are pending; clear them before you add more")
        self._faults.append((fault, 0))

    @property
    def faults(self) -> list[Fault]:
        """The faults that are still to come."""
        return [fault for fault, _ in self._faults]

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

    @property
    def runs(self) -> list[Run]:
        """Every run that was started, by conversation."""
        return [run for runs in self.threads.values() for run in runs]

    def start(self, run: Run) -> None:
        """Add a run to its thread, which may be new. At each limit the oldest is dropped."""
        while len(self.threads) >= THREADS_KEPT and run.thread_id not in self.threads:
            self.threads.popitem(last=False)
        self.threads[run.thread_id] = [*self.threads.get(run.thread_id, [])[-RUNS_KEPT_PER_THREAD + 1 :], run]

    def note(self, request: SeenRequest) -> None:
        """Add a request. At the limit the oldest is dropped."""
        self.requests.append(request)
        del self.requests[:-REQUESTS_KEPT]

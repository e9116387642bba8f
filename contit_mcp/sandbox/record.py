"""Threads, runs and requests of a sandbox, its faults and scripted answers: `app.state.sandbox`.

No task runs in the background: the state of a run is computed when it is asked for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from contit_mcp.sandbox.answer import Turn
from contit_mcp.sandbox.options import MAX_ANSWERS, DataError, Endpoint, Fault, ScriptedAnswer

MAX_FAULTS: Final = 1_000
THREADS_KEPT: Final = 20_000
RUNS_KEPT_PER_THREAD: Final = 1_000
REQUESTS_KEPT: Final = 50_000

PendingT = TypeVar("PendingT", Fault, ScriptedAnswer)


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
    """One request as it arrived, and its outcome. Contains no credential, query string or body."""

    method: str
    path: str  # percent-encoded as it was sent
    endpoint: str  # "other" for a path that the sandbox does not know
    status: int | None  # None where the connection was dropped
    at: float  # on the sandbox's clock
    fault: str | None = None  # its kind


class SandboxRecord:
    """The requests and runs that a sandbox has seen, and its faults and scripted answers, which a test may change."""

    def __init__(self, faults: Iterable[Fault], answers: Iterable[ScriptedAnswer]) -> None:
        self._initial = faults, answers
        self.reset()

    def reset(self) -> None:
        """Restore the initial state: no requests, no threads, the faults and answers of the options."""
        self.requests: list[SeenRequest] = []
        self.threads: dict[str, list[Run]] = {}
        # Each is kept with the number of requests that have counted for it.
        self._faults: list[tuple[Fault, int]] = []
        self._answers: list[tuple[ScriptedAnswer, int]] = []
        self.add(*self._initial)

    def add(self, faults: Iterable[Fault] = (), answers: Iterable[ScriptedAnswer] = ()) -> None:
        """Add faults and scripted answers after those that are pending. Raises DataError at their limits."""
        self._faults += [(fault, 0) for fault in faults]
        self._answers += [(answer, 0) for answer in answers]
        for pending, most, name in ((self._faults, MAX_FAULTS, "faults"), (self._answers, MAX_ANSWERS, "answers")):
            if len(pending) > most:
                del pending[most:]
                raise DataError(f"there are {most:,} {name}, which is the limit")

    def add_fault(self, fault: Fault) -> None:
        """Add a fault after those that are pending. Raises DataError at the limit."""
        self.add([fault])

    @property
    def faults(self) -> list[Fault]:
        """The faults that are still to come."""
        return [fault for fault, _ in self._faults]

    def clear_faults(self) -> None:
        """Remove every pending fault; runs that already failed stay failed."""
        self._faults.clear()

    def next_fault(self, endpoint: Endpoint) -> Fault | None:
        """Count a request to an endpoint, and return the fault that it meets."""
        return _taken(self._faults, lambda fault: fault.happens_on(endpoint))

    def next_answer(self, prompt: str) -> ScriptedAnswer | None:
        """Count a prompt, and return the scripted answer to it."""
        return _taken(self._answers, lambda answer: answer.match(prompt) is not None)

    @property
    def runs(self) -> list[Run]:
        """Every run that was started, by thread."""
        return [run for runs in self.threads.values() for run in runs]

    def start(self, run: Run) -> None:
        """Add a run to its thread, which may be new. At each limit the oldest is dropped."""
        while len(self.threads) >= THREADS_KEPT and run.thread_id not in self.threads:
            del self.threads[next(iter(self.threads))]
        self.threads[run.thread_id] = [*self.threads.get(run.thread_id, [])[-RUNS_KEPT_PER_THREAD + 1 :], run]

    def note(self, request: SeenRequest) -> None:
        """Add a request. At the limit the oldest is dropped."""
        self.requests.append(request)
        del self.requests[:-REQUESTS_KEPT]


def _taken(pending: list[tuple[PendingT, int]], matches: Callable[[PendingT], bool]) -> PendingT | None:
    """Return the first that matches and is due. The request counts for it and earlier matches, not for later ones."""
    for at, (one, seen) in enumerate(pending):
        if matches(one):
            pending[at] = one, seen + 1
            if seen >= one.after:
                if one.times is not None and seen + 1 >= one.after + one.times:
                    del pending[at]
                return one
    return None

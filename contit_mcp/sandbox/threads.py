"""Conversations and their runs. No task runs in the background: a status is computed when it is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from contit_mcp.sandbox.answer import Turn

THREADS_KEPT: Final = 20_000
RUNS_KEPT: Final = 1_000
"""Runs of one thread; at either limit the oldest is dropped."""


@dataclass(frozen=True)
class Run:
    """One prompt and its answer, both known from the start."""

    thread_id: str
    run_id: str
    prompt: str
    turn: Turn
    """The answer, returned once the run has ended, and what a follow-up can refer to."""
    started: float
    ends: float
    """When the run ends, on the sandbox's clock; infinity: never."""
    fails: bool = False

    def status(self, now: float) -> Literal["in_progress", "completed", "failed"]:
        """Return the state of the run, in one of the three words that the API documents."""
        if now < self.ends:
            return "in_progress"
        return "failed" if self.fails else "completed"


@dataclass
class Thread:
    """One conversation: its runs, oldest first."""

    thread_id: str
    runs: list[Run] = field(default_factory=list)

    def busy(self, now: float) -> bool:
        """Return whether a run has not ended yet."""
        return any(run.status(now) == "in_progress" for run in self.runs)

    def latest_completed(self, now: float) -> Run | None:
        """Return the run that completed last."""
        completed = [run for run in self.runs if run.status(now) == "completed"]
        return max(completed, key=lambda run: run.ends, default=None)

    def last_turn(self) -> Turn | None:
        """Return the last answer of this conversation; failed runs do not count."""
        return next((run.turn for run in reversed(self.runs) if not run.fails), None)


@dataclass
class Threads:
    """All conversations of one sandbox."""

    clock: Callable[[], float]
    new_id: Callable[[], str]
    _threads: dict[str, Thread] = field(default_factory=dict)

    def new(self) -> Thread:
        """Start a conversation."""
        while len(self._threads) >= THREADS_KEPT:
            del self._threads[next(iter(self._threads))]
        thread = Thread(f"thread_{self.new_id()}")
        self._threads[thread.thread_id] = thread
        return thread

    def get(self, thread_id: str) -> Thread | None:
        """Return a conversation."""
        return self._threads.get(thread_id)

    def start(self, thread: Thread, prompt: str, turn: Turn, *, seconds: float = math.inf, fails: bool = False) -> Run:
        """Start a run that ends after some seconds."""
        now = self.clock()
        run = Run(thread.thread_id, f"run_{self.new_id()}", prompt, turn, now, now + seconds, fails)
        thread.runs[:] = [*thread.runs[-RUNS_KEPT + 1 :], run]
        return run

    def runs(self) -> list[Run]:
        """Return every run that is kept, by conversation."""
        return [run for thread in self._threads.values() for run in thread.runs]

    def clear(self) -> None:
        """Drop every conversation."""
        self._threads.clear()

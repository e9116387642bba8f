"""What the assistant tells its callers: events to an observer during a call, and a report at its end."""

from dataclasses import dataclass

from contit_mcp.errors import RunError
from contit_mcp.runs.record import Failure, Phase


@dataclass(frozen=True, slots=True)
class RunReport:
    """The state of a run; without a run id, the latest answer of a thread. Times are seconds since the epoch."""

    phase: Phase
    thread_id: str
    run_id: str | None
    response: str | None = None
    elapsed_seconds: float | None = None  # from its start to its end, or to now; None if its start is not known
    deduplicated: bool = False  # whether another call had started this run for the same question
    age_seconds: float | None = None  # since its start, if the answer is that of an earlier call with the same question
    failure: Failure | None = None
    maybe_twice: bool = False  # whether an earlier start of the question was interrupted: Contit may run it twice
    asked_at: float | None = None
    ended_at: float | None = None
    title: str | None = None
    error: RunError | None = None  # in a snapshot, why a run that has ended has no answer
    cancelled: bool = False  # in a snapshot, whether the caller has cancelled the ask; then the rest does not matter


class Observer:
    """Follows one call; this base class ignores all events. Methods return at once, so that no wait is slowed."""

    def started(self, thread_id: str, run_id: str) -> None:
        """The run exists, with these ids of Contit."""

    def status(self, word: str) -> None:
        """Contit's word for the state of the run has changed, or a text says that Contit cannot be asked."""


NULL_OBSERVER = Observer()

"""What the assistant tells its callers: during a call to an observer, at its end as a report."""

from dataclasses import dataclass

from contit_mcp.errors import RunError
from contit_mcp.runs.record import Failure, Phase


@dataclass(frozen=True, slots=True)
class RunReport:
    """The state of a run; without a run id, the latest answer of a thread. Times are seconds since the epoch.

    Attributes:
        elapsed_seconds: From its start to its end, or to now; None if its start is not known.
        deduplicated: Whether another call had started this run for the same question.
        age_seconds: How long ago the run was started, if an earlier answer is returned to the same question.
        maybe_twice: Whether an earlier start of the same question was cut off, so that Contit may run it twice.
        error: In a snapshot, why a run that has ended has no answer.
        cancelled: In a snapshot, whether the caller has cancelled the ask; then the rest does not matter.
    """

    phase: Phase
    thread_id: str
    run_id: str | None
    response: str | None = None
    elapsed_seconds: float | None = None
    deduplicated: bool = False
    age_seconds: float | None = None
    failure: Failure | None = None
    maybe_twice: bool = False
    asked_at: float | None = None
    ended_at: float | None = None
    title: str | None = None
    error: RunError | None = None
    cancelled: bool = False


class Observer:
    """Follows one call; this base class ignores all events. Methods return at once, so that no wait is slowed."""

    def started(self, thread_id: str, run_id: str) -> None:
        """The ids exist."""

    def status(self, word: str) -> None:
        """Contit's word for the run has changed."""


NULL_OBSERVER = Observer()

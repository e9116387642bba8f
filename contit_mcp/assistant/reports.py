"""What the assistant tells its callers: during a call to an observer, at its end as a report."""

from dataclasses import dataclass
from typing import Protocol

from contit_mcp.errors import RunError
from contit_mcp.runs.record import Failure, Phase


@dataclass(frozen=True, slots=True)
class RunReport:
    """The state of a run. Times are seconds since the epoch.

    Attributes:
        phase: Where the run stands.
        thread_id: Its conversation.
        run_id: The run; None for an answer whose run is not known.
        response: The answer, where the call returns it.
        elapsed_seconds: From its start to its end, or to now; None if its start is not known.
        deduplicated: Whether another call had started this run for the same question.
        age_seconds: How long ago the run was started, if an earlier answer is returned to the same question.
        failure: Why the run counts as failed.
        maybe_twice: Whether an earlier start of the same question was cut off, so that Contit may run it twice.
        asked_at: When it was asked, if known.
        ended_at: When its end was seen.
        title: The first words of the prompt, if they were stored.
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


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """The state of the run of one ask, taken without waiting.

    Attributes:
        report: The run; with its answer, if it has one.
        failure: Why there is no answer, if the run has ended without.
        cancelled: Whether the caller has cancelled the ask; then neither of the others matters.
    """

    report: RunReport
    failure: RunError | None = None
    cancelled: bool = False


class Observer:
    """Follows one call; this base class ignores all events. Methods return at once, so that no wait is slowed."""

    def started(self, thread_id: str, run_id: str) -> None:
        """The ids exist."""

    def status(self, word: str) -> None:
        """Contit's word for the run has changed."""


NULL_OBSERVER = Observer()
"""For callers that do not follow their call."""


class RunListener(Protocol):
    """Receives the ends of runs. Methods return at once and raise nothing."""

    def run_ended(self, end: str, seconds: float | None) -> None:
        """The end of a run was seen, for the first time in any process.

        Args:
            end: `completed`, or a `Failure`.
            seconds: From its start to its end.
        """

    def runs_waited_for(self, change: int) -> None:
        """One run more (1) or less (-1) is waited for by callers of this process."""

    def runs_polled(self, change: int) -> None:
        """One of them more (1) or less (-1) is polled by this process; the others are polled by other replicas."""


class _NullListener:
    def run_ended(self, end: str, seconds: float | None) -> None:
        pass

    def runs_waited_for(self, change: int) -> None:
        pass

    def runs_polled(self, change: int) -> None:
        pass


NULL_LISTENER: RunListener = _NullListener()

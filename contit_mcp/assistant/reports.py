"""What the assistant tells its callers: during a call to an observer, at its end as a report."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from contit_mcp.errors import RunError
from contit_mcp.runs.record import Failure, Phase, RunRecord

Note = Callable[[bool], Awaitable[None]]
"""Is told whether a report has been sent to its caller as a whole, or was not because the caller left."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a call has to say about a run.

    Attributes:
        phase: Where it stands.
        thread_id: Its conversation.
        run_id: The run; None for an answer whose run is not known.
        response: The answer, where the call gives it.
        elapsed_seconds: From its start to its end, or to now; None when its start is not known.
        joined: Whether another call had started this run for the same question.
        age_seconds: How long ago its run was started, when the answer is given again to the same question.
        failure: Why it counts as failed.
        maybe_twice: Whether an earlier start of the same question was cut off, so that Contit may run it twice.
        ended_at: When its end was seen, in seconds since the epoch.
    """

    phase: Phase
    thread_id: str
    run_id: str | None
    response: str | None = None
    elapsed_seconds: float | None = None
    joined: bool = False
    age_seconds: float | None = None
    failure: Failure | None = None
    maybe_twice: bool = False
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """Where a run was found to stand, without waiting.

    Attributes:
        report: The run; with its answer, if it has one.
        failure: Why there is none, once it has ended without.
        cancelled: Whether whoever asked has taken it back; then neither of the others matters.
    """

    report: RunReport
    failure: RunError | None = None
    cancelled: bool = False


def report_on(
    run: RunRecord,
    *,
    now: float,
    response: str | None = None,
    joined: bool = False,
    age_seconds: float | None = None,
) -> RunReport:
    """A report on a run that was started, as of `now` (seconds since the epoch)."""
    assert run.thread_id is not None  # noqa: S101 - a started run has its ids
    until = now if run.ended_at is None else run.ended_at
    return RunReport(
        run.phase,
        run.thread_id,
        run.run_id,
        response=response,
        elapsed_seconds=None if run.started_at is None else max(0.0, until - run.started_at),
        joined=joined,
        age_seconds=age_seconds,
        failure=run.failure,
        ended_at=run.ended_at,
    )


class Observer:
    """Is told how a call goes on; this one ignores it. Methods return at once, so that no wait is slowed."""

    def started(self, thread_id: str, run_id: str) -> None:
        """The ids exist."""

    def status(self, word: str) -> None:
        """Contit's word for the run has changed."""

    def when_sent(self, note: Note) -> bool:  # noqa: ARG002 - it cannot know
        """Whether `note` will be called at the end of the call; who cannot tell does not take it."""
        return False


NOBODY = Observer()
"""For callers who do not watch."""

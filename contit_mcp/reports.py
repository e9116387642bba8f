"""What the assistant tells its callers: during a call to an observer, at its end as a report."""

from dataclasses import dataclass
from enum import StrEnum

from contit_mcp.runs.record import Failure


class RunState(StrEnum):
    """Where a run stands, in the words of the documented API."""

    COMPLETED = "completed"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a call has to say about a run.

    Attributes:
        state: Where it stands.
        thread_id: Its conversation.
        run_id: The run; None for an answer whose run is not known.
        response: The answer, where the call gives it.
        elapsed_seconds: From its start to its end, or to now; None when its start is not known.
        joined: Whether another call had started this run for the same question.
        age_seconds: How long ago the answer came, when it is given again to the same question.
        failure: Why it counts as failed.
    """

    state: RunState
    thread_id: str
    run_id: str | None
    response: str | None = None
    elapsed_seconds: float | None = None
    joined: bool = False
    age_seconds: float | None = None
    failure: Failure | None = None


class Observer:
    """Is told how a call goes on; this one ignores it. Methods return at once, so that no wait is slowed."""

    def started(self, thread_id: str, run_id: str) -> None:
        """The ids exist."""

    def status(self, word: str) -> None:
        """Contit's word for the run has changed."""


NOBODY = Observer()
"""For callers who do not watch."""

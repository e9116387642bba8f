"""The seam between the use cases and where runs are remembered."""

from dataclasses import dataclass
from typing import Protocol

from contit_mcp.runs.claims import Claim
from contit_mcp.runs.record import Delivery, Failure, Question, RunRecord


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long a run is remembered, in seconds.

    Attributes:
        record: A run, from when it was asked. A day covers a conversation that is taken up again.
        answer: Its answer, from when it ended. An hour covers every host's retry; 0 keeps none.
    """

    record: float = 86_400.0
    answer: float = 3_600.0


class RunStore(Protocol):
    """Where runs are remembered. Every method is atomic; `now` is in seconds since the epoch.

    A run is addressed by its `key`, or by owner and Contit's two ids. Another owner's run is not found.
    """

    async def claim(self, question: Question, *, awaited: bool, now: float) -> Claim:
        """Store the intent to start, or return the run that stands in its way (`claims.existing_run`).

        `awaited` says whether the caller waits for the answer of the run that it may start.
        """
        ...

    async def awaited(self, record: RunRecord) -> RunRecord:
        """Note that a caller waits for the answer of a run whose ids had only been handed over."""
        ...

    async def release(self, key: str) -> None:
        """Forget an intent that came to nothing. A run whose ids are stored stays."""
        ...

    async def started(self, key: str, thread_id: str, run_id: str, *, now: float) -> RunRecord:
        """Store the ids of a run that was started."""
        ...

    async def completed(self, record: RunRecord, answer: str, *, now: float) -> RunRecord:
        """Store the end of a run and its answer. The first end stays; what is stored is returned."""
        ...

    async def failed(self, record: RunRecord, failure: Failure, *, now: float) -> RunRecord:
        """Store the end of a run that has no answer. The first end stays; what is stored is returned."""
        ...

    async def delivered(self, record: RunRecord, delivery: Delivery, *, now: float) -> None:
        """Note that a caller was sent the answer."""
        ...

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids."""
        ...

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections."""
        ...

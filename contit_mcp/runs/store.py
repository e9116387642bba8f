"""The seam between what is known of runs and where it is kept. `ledger.RunLedger` is what the rest of us speaks to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.record import RunRecord

Change = Callable[[RunRecord], RunRecord]
"""What happens to a record; pure, and made again when two processes change it at once."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long a run is remembered, in seconds.

    Attributes:
        record: A run, from when it was asked. A day covers a conversation that is taken up again.
        answer: Its answer, from when it ended. An hour covers every host's retry; 0 keeps none.
    """

    record: float = 86_400.0
    answer: float = 3_600.0

    def kept(self, record: RunRecord, *, now: float) -> RunRecord | None:
        """What may still be known of it at `now`; None when nothing."""
        if now - record.asked_at > self.record and record.remembered and not record.held(now):
            return None
        if record.answer is not None and record.ended_at is not None:
            age = now - record.ended_at
            if self.answer <= 0 or age > self.answer:
                return replace(record, answer=None)
        return record


class StoreGoneError(StoreError):
    """Nobody is there. A server that is only being started again is back in a few seconds."""


class RunStore(Protocol):
    """Where runs are kept. Every method is atomic, also between processes; `now` is in seconds since the epoch.

    A run is addressed by its `key`, or by owner and Contit's two ids. Another owner's run is not found.

    Raises (every method):
        StoreError: The store cannot be used at the moment.
    """

    async def claim(self, intent: RunRecord, *, now: float) -> Claim:
        """Keep the intent to start, or return the run that stands in its way (`claims.existing_run`).

        It takes the place of an intent whose process died.
        """
        ...

    async def change(self, record: RunRecord, change: Change, *, now: float) -> RunRecord:
        """Change what is kept of a run, and return it as it is then.

        What is not kept is taken as `record` has it, and kept from now on, unless it was never remembered.
        """
        ...

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that came to nothing. A run whose ids are kept stays."""
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

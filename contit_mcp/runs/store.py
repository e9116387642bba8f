"""The contract of every run store. A store has the clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from contit_mcp.runs.claims import Claim
from contit_mcp.runs.record import RunRecord
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

Transition = Callable[[RunRecord, float], RunRecord]
"""Takes a record and the time in seconds since the epoch, and returns the record after it. It is pure: a store calls it
again if two processes change a record at once."""

MOST_RECENT = 100
"""Runs of one owner that `RunStore.recent` returns at most."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long runs and answers are kept, in seconds."""

    record: float = 86_400.0
    """A run, from when it was asked. A day covers a conversation that is continued later."""
    answer: float = 3_600.0
    """Its answer, from when it ended. An hour covers every host's retry; 0 keeps none."""

    def kept(self, record: RunRecord, *, now: float) -> RunRecord | None:
        """Return what of the record may still be known at `now`; None if nothing."""
        if now - record.asked_at > self.record and record.tracked and not record.leased(now):
            return None
        if record.answer is not None and record.ended_at is not None:
            age = now - record.ended_at
            if self.answer <= 0 or age > self.answer:
                return replace(record, answer=None)
        return record

    def read(self, key: str, text: Any, answer: Any, *, now: float) -> RunRecord | None:
        """Return what may still be known of a stored record; None also for one that cannot be read, which is logged."""
        try:
            return self.kept(RunRecord.from_json(text, answer), now=now)
        except ValueError:
            log.warning("store.unreadable_record", key=key)
            return None


class RunStore(Protocol):
    """Keeps runs. Every method is atomic, also between processes; all but `now` raise `StoreError`.

    A run is addressed by its `key`, or by owner and Contit's two ids. Another owner's run is not found.
    """

    def now(self) -> float:
        """Return the time by which this store judges leases and ages, in seconds since the epoch."""
        ...

    async def claim(self, intent: RunRecord) -> Claim:
        """Keep the intent, in place of one whose process died, or return the run that keeps it from starting."""
        ...

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        """Apply the transition to what is kept of a run, and return the result.

        If nothing is kept, the transition is applied to `record` and the result is kept, unless it is untracked.
        """
        ...

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that was not started. A run whose ids are kept stays."""
        ...

    async def find(self, owner: str, thread_id: str, run_id: str, *, fresh: bool = True) -> RunRecord | None:
        """Return the run with these ids. Unless `fresh`, a run in flight may be as this process last saw it."""
        ...

    async def latest(self, owner: str, thread_id: str) -> RunRecord | None:
        """Return the newest run on a thread whose ids are known."""
        ...

    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, at most `MOST_RECENT`, without answers."""
        ...

    async def aclose(self) -> None:
        """Close files and connections."""
        ...

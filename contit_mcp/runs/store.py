"""The contract of every run store. A store has the clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.record import RunRecord

Transition = Callable[[RunRecord, float], RunRecord]
"""Takes a record and the time in seconds since the epoch, and returns the record after it. It is pure: a store calls it
again if two processes change a record at once."""

MOST_RECENT = 100
"""Runs of one owner that `RunStore.recent` returns at most."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long runs and answers are kept, in seconds.

    Attributes:
        record: A run, from when it was asked. A day covers a conversation that is continued later.
        answer: Its answer, from when it ended. An hour covers every host's retry; 0 keeps none.
    """

    record: float = 86_400.0
    answer: float = 3_600.0

    def kept(self, record: RunRecord, *, now: float) -> RunRecord | None:
        """Return what of the record may still be known at `now`; None if nothing."""
        if now - record.asked_at > self.record and record.tracked and not record.leased(now):
            return None
        if record.answer is not None and record.ended_at is not None:
            age = now - record.ended_at
            if self.answer <= 0 or age > self.answer:
                return replace(record, answer=None)
        return record


class RunStore(Protocol):
    """Keeps runs. Every method is atomic, also between processes.

    A run is addressed by its `key`, or by owner and Contit's two ids. Another owner's run is not found. A stored record
    that cannot be read counts as missing; its key is logged.

    Raises (every method but `now`):
        StoreError: The store cannot be used at the moment.
    """

    def now(self) -> float:
        """Return the time by which this store judges leases and ages, in seconds since the epoch."""
        ...

    async def claim(self, intent: RunRecord) -> Claim:
        """Keep the intent to start, or return the run that keeps it from starting (`claims.existing_run`).

        It replaces an intent whose process died.
        """
        ...

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        """Apply the transition to what is kept of a run, and return the result.

        If nothing is kept, the transition is applied to `record` and the result is kept, unless it is untracked.
        """
        ...

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that was not started. A run whose ids are kept stays."""
        ...

    async def find(self, owner: str, thread_id: str, run_id: str) -> RunRecord | None:
        """Return the run with these ids."""
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


class StoreListener(Protocol):
    """Receives every use of a store. Methods return at once and raise nothing."""

    def began(self, use: object) -> None:
        """A store operation has begun. `use` tells it from others until it ends."""

    def operation(self, use: object, name: str, seconds: float, error: StoreError | None) -> None:
        """A store operation has ended."""

    def usable(self, *, usable: bool) -> None:
        """The store can no longer be used, or can be used again."""

    def slow(self, *, slow: bool) -> None:
        """The store has become slow, or fast again."""


class _NullListener:
    def began(self, use: object) -> None:
        pass

    def operation(self, use: object, name: str, seconds: float, error: StoreError | None) -> None:
        pass

    def usable(self, *, usable: bool) -> None:
        pass

    def slow(self, *, slow: bool) -> None:
        pass


NULL_STORE_LISTENER: StoreListener = _NullListener()

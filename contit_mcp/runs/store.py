"""The base of every run store: its interface, and what all stores do alike."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from contit_mcp.runs.claims import Claim, Granted, Slot, decide, key_slot, slot_of, slots_of
from contit_mcp.runs.record import Phase, RunRecord
from contit_mcp.telemetry.logging import get_logger

T = TypeVar("T")
log = get_logger(__name__)

Transition = Callable[[RunRecord, float], RunRecord]
"""Takes a record and the time in seconds since the epoch, and returns the record after the transition. It is pure: a
store calls it again if two processes change a record at once."""

MOST_RECENT = 100  # runs of one owner that `RunStore.recent` returns at most


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long runs and answers are kept, in seconds."""

    record: float = 86_400.0  # a run, from when it was asked: a day covers a conversation that is continued later
    answer: float = 3_600.0  # its answer, from when it ended: an hour covers every host's retry; 0 keeps none

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


Update = Callable[[RunRecord | None, float], tuple[T, RunRecord | None, RunRecord | None]]
"""Takes the stored record, if any, and the time. Returns a result, a record to delete and one to write (or None)."""


class RunStore(ABC):
    """Keeps runs. Every method is atomic, also between processes, and may raise `StoreError`.

    A run is addressed by its `key`, or by owner and Contit's two ids. Another owner's run is not found. `now` returns
    the time in seconds since the epoch, by which leases and ages are judged. A new store implements `_update`, `find`
    and `recent`.
    """

    def __init__(self, retention: RetentionPolicy | None, now: Callable[[], float]) -> None:
        self._retention = retention or RetentionPolicy()
        self.now = now

    async def claim(self, intent: RunRecord) -> Claim:
        """Keep the intent, in place of the question's interrupted one, or return the run that prevents the start."""

        def update(latest: RunRecord | None, now: float) -> tuple[Claim, RunRecord | None, RunRecord | None]:
            claim = decide(intent, latest, now=now)
            if not isinstance(claim, Granted):
                return claim, None, None
            return claim, latest if claim.interrupted else None, claim.record

        return await self._update(slot_of(intent.question), update)

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        """Apply the transition to what is kept of a run, and return the result.

        If nothing is kept, the transition is applied to `record` and the result is kept, unless it is untracked.
        """

        def update(before: RunRecord | None, now: float) -> tuple[RunRecord, RunRecord | None, RunRecord | None]:
            after = transition(before or record, now)
            if after == before or (before is None and not after.tracked):
                return after, None, None
            is_moved = before is not None and slots_of(before) != slots_of(after)
            return after, before if is_moved else None, after

        return await self._update(key_slot(record), update)

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that was not started. A run whose ids are kept stays."""

        def update(kept: RunRecord | None, _: float) -> tuple[None, RunRecord | None, None]:
            return None, kept if kept is not None and kept.phase is Phase.STARTING else None, None

        await self._update(key_slot(intent), update)

    async def last_seen(self, owner: str, thread_id: str, run_id: str) -> RunRecord | None:
        """Return the run with these ids; one in flight may be in the state that this process saw last."""
        return await self.find(owner, thread_id, run_id)

    @abstractmethod
    async def find(self, owner: str, thread_id: str, run_id: str | None = None) -> RunRecord | None:
        """Return the run with these ids; without a run id, the newest one on the thread whose ids are known."""

    @abstractmethod
    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, at most `MOST_RECENT`, without answers."""

    async def aclose(self) -> None:  # noqa: B027 - a store in memory has nothing to close
        """Close files and connections."""

    async def _update(self, slot: Slot, update: Update[T]) -> T:
        """Read the newest record in a slot, and delete and write what `update` returns for it, in one atomic step.

        Only `claim`, `change` and `release` use it; a store that overrides these three does not need it.
        """
        raise NotImplementedError

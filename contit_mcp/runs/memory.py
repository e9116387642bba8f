"""Runs kept in this process only, as long as it lives."""

import heapq
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, takewhile
from typing import TypeVar

from contit_mcp.runs.claims import Slot, slots_of, start_died
from contit_mcp.runs.record import RunRecord
from contit_mcp.runs.store import MOST_RECENT, RetentionPolicy, RunStore, Update

T = TypeVar("T")


class MemoryRunStore(RunStore):
    """A `RunStore` in a dictionary. No method yields while it works, which makes each of them atomic.

    At most `capacity` runs are kept (the oldest ended ones are dropped first, a run in flight never is), with at most
    `answer_characters` in all answers together (the oldest answers are dropped first).
    """

    def __init__(
        self,
        *,
        retention: RetentionPolicy | None = None,
        capacity: int = 10_000,
        answer_characters: int = 64_000_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(retention, now)
        self._capacity = capacity
        self._most_answer_characters = answer_characters
        self._records: dict[str, RunRecord] = {}  # in the order of their starts
        self._slots: defaultdict[Slot, list[str]] = defaultdict(list)  # keys, by `slots_of`
        self._answers: dict[str, int] = {}  # characters by key, in the order of ends
        self._answer_characters = 0

    def __len__(self) -> int:
        return len(self._records)

    async def _update(self, slot: Slot, update: Update[T]) -> T:
        now = self.now()
        if slot[1] != "key":  # a change of one run need not look at the others
            self._expire(now)
        result, forgotten, kept = update(self.newest(slot), now)
        if forgotten is not None:
            self.forget(forgotten.key)
        if kept is not None:
            self.keep(kept)
        return result

    async def find(self, owner: str, thread_id: str, run_id: str | None = None) -> RunRecord | None:
        """Return the run with these ids, or the newest one on the thread whose ids are known."""
        now = self.now()
        self._expire(now)
        keys = reversed(self._slots.get((owner, "thread_id", thread_id), ()))  # of two asked at once, the last one kept
        kept = (self._retention.kept(self._records[key], now=now) for key in keys)
        found = (run for run in kept if run and run.run_id and run_id in {None, run.run_id})
        return max(found, key=lambda run: run.asked_at, default=None)

    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, without answers."""
        self._expire(self.now())
        own = (run for run in self._records.values() if run.question.owner == owner and run.run_id is not None)
        newest = heapq.nlargest(min(limit, MOST_RECENT), own, key=lambda run: (run.asked_at, run.key))
        return [replace(run, answer=None) for run in newest]

    def newest(self, slot: Slot) -> RunRecord | None:
        """Return the run in the slot that was asked last; of several asked at once, the last one kept."""
        _, kind, value = slot
        keys = [value] if kind == "key" else self._slots.get(slot, ())
        runs = (run for key in reversed(keys) if (run := self._records.get(key)))
        return max(runs, key=lambda run: run.asked_at, default=None)

    def keep(self, record: RunRecord) -> None:
        """Keep the record, in place of an earlier state of its run."""
        record = self._retention.kept(record, now=self.now()) or record
        before = self._records.get(record.key)
        if before is None or slots_of(before) != slots_of(record):
            self.forget(record.key)
            for slot in slots_of(record):
                self._slots[slot].append(record.key)
        self._records[record.key] = record
        self._answer_characters += len(record.answer or "") - self._answers.get(record.key, 0)
        if record.answer is None:
            self._answers.pop(record.key, None)
        else:
            self._answers[record.key] = len(record.answer)

    def forget(self, key: str) -> None:
        """Drop the run with this key, if it is kept."""
        record = self._records.pop(key, None)
        self._answer_characters -= self._answers.pop(key, 0)
        for slot in [] if record is None else slots_of(record):
            self._slots[slot].remove(key)
            if not self._slots[slot]:
                del self._slots[slot]

    def _expire(self, now: float) -> None:
        """Drop what is too old, and the oldest answers and ended runs that exceed the capacity."""
        while self._answers:
            record = self._records[next(iter(self._answers))]
            is_too_old = record.ended_at is not None and now - record.ended_at > self._retention.answer
            if not is_too_old and self._answer_characters <= self._most_answer_characters:
                break
            self.keep(replace(record, answer=None))
        old = takewhile(lambda run: now - run.asked_at > self._retention.record, self._records.values())
        for record in [run for run in old if self._retention.kept(run, now=now) is None]:
            self.forget(record.key)
        excess = max(0, len(self._records) - self._capacity)
        droppable = (run for run in self._records.values() if run.ended or start_died(run, now))
        for record in list(islice(droppable, excess)):
            self.forget(record.key)

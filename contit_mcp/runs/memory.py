"""Runs kept in this process only, for as long as it lives."""

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice, takewhile

from contit_mcp.runs.claims import Claim, Granted, Slot, decide, slot_of, slots_of, start_died, thread_slot
from contit_mcp.runs.record import Phase, Question, RunRecord
from contit_mcp.runs.store import MOST_RECENT, RetentionPolicy, Transition


class MemoryRunStore:
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
        self._retention = retention or RetentionPolicy()
        self._capacity = capacity
        self._most_answer_characters = answer_characters
        self._now = now
        self._records: dict[str, RunRecord] = {}  # in the order of their starts
        self._slots: defaultdict[Slot, list[str]] = defaultdict(list)  # keys, by `slots_of`
        self._answers: dict[str, int] = {}  # characters by key, in the order of ends
        self._answer_characters = 0

    def __len__(self) -> int:
        return len(self._records)

    def now(self) -> float:
        """Return the time."""
        return self._now()

    async def claim(self, intent: RunRecord) -> Claim:
        """Keep the intent to start, or return the run that keeps it from starting."""
        now = self._now()
        self._expire(now)
        latest = self.latest_before(intent.question)
        claim = decide(intent, latest, now=now)
        if isinstance(claim, Granted):
            if latest is not None and claim.interrupted:
                self.forget(latest.key)
            self.keep(claim.record)
        return claim

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        """Apply the transition to what is kept of a run, and return the result."""
        before = self._records.get(record.key)
        after = transition(before or record, self._now())
        if before is not None or after.tracked:
            self.keep(after)
        return after

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that was not started."""
        record = self._records.get(intent.key)
        if record is not None and record.phase is Phase.STARTING:
            self.forget(record.key)

    async def find(
        self,
        owner: str,
        thread_id: str,
        run_id: str,
        *,
        fresh: bool = True,  # noqa: ARG002 - it always is
    ) -> RunRecord | None:
        """Return the run with these ids."""
        return next((run for run in self._started_on(owner, thread_id) if run.run_id == run_id), None)

    async def latest(self, owner: str, thread_id: str) -> RunRecord | None:
        """Return the newest run on a thread whose ids are known."""
        return _newest(self._started_on(owner, thread_id))

    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, without answers."""
        self._expire(self._now())
        own = (run for run in self._records.values() if run.question.owner == owner and run.run_id is not None)
        newest = heapq.nlargest(min(limit, MOST_RECENT), own, key=lambda run: (run.asked_at, run.key))
        return [replace(run, answer=None) for run in newest]

    async def aclose(self) -> None:
        """Nothing is open."""

    def latest_before(self, question: Question) -> RunRecord | None:
        """Return the run that may keep the question from starting, as `claims.decide` takes it."""
        return _newest(self._records[key] for key in self._slots.get(slot_of(question), ()))

    def get(self, key: str) -> RunRecord | None:
        """Return the run with this key."""
        return self._records.get(key)

    def keep(self, record: RunRecord) -> None:
        """Keep the record in place of what is kept of its run."""
        record = self._retention.kept(record, now=self._now()) or record
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

    def _started_on(self, owner: str, thread_id: str) -> Iterator[RunRecord]:
        """Yield the runs on a thread whose ids are known, in the order of keeping."""
        now = self._now()
        self._expire(now)
        for key in self._slots.get(thread_slot(owner, thread_id), ()):
            record = self._retention.kept(self._records[key], now=now)
            if record is not None and record.run_id is not None:
                yield record

    def _expire(self, now: float) -> None:
        """Drop what is too old, and the oldest answers and ended runs beyond the capacity."""
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


def _newest(records: Iterable[RunRecord]) -> RunRecord | None:
    """Return the run asked last; of several at the same moment the one kept last."""
    newest = None
    for record in records:
        if newest is None or record.asked_at >= newest.asked_at:
            newest = record
    return newest

"""Runs kept in this process only, for as long as it lives."""

from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import islice, takewhile

from contit_mcp.runs.claims import (
    Claim,
    Granted,
    ReplayPolicy,
    decide,
    slot_of,
    slots_of,
    start_died,
    thread_slot,
)
from contit_mcp.runs.record import Phase, Question, RunRecord
from contit_mcp.runs.store import Change, RetentionPolicy


class MemoryRunStore:
    """A `RunStore` in a dictionary. Methods never yield in between, which makes each of them atomic.

    Args:
        retention: How long runs and answers are kept.
        replay: When an answer is given again.
        capacity: Runs kept at the most; the oldest ended ones go first, a run in flight never goes.
    """

    def __init__(
        self,
        *,
        retention: RetentionPolicy | None = None,
        replay: ReplayPolicy | None = None,
        capacity: int = 10_000,
    ) -> None:
        self._retention = retention or RetentionPolicy()
        self._replay = replay or ReplayPolicy()
        self._capacity = capacity
        self._records: dict[str, RunRecord] = {}  # in the order of keeping
        self._slots: defaultdict[Question, list[str]] = defaultdict(list)  # keys, by what `slots_of` says
        self._answers: deque[tuple[float, str]] = deque()  # (ended at, key), to let go of old answers in time

    async def claim(self, intent: RunRecord, *, now: float) -> Claim:
        """Keep the intent to start, or return the run that stands in its way."""
        self._expire(now)
        latest = self._latest_before(intent.question)
        claim = decide(intent, latest, now=now, policy=self._replay)
        if isinstance(claim, Granted):
            if latest is not None and claim.interrupted:
                self._forget(latest)
            self._put(claim.record)
        return claim

    async def change(self, record: RunRecord, change: Change, *, now: float) -> RunRecord:
        """Change what is kept of a run, and return it as it is then."""
        before = self._records.get(record.key)
        after = change(before or record)
        if before is not None or after.remembered:
            self._put(self._retention.kept(after, now=now) or after)
        return after

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that came to nothing."""
        record = self._records.get(intent.key)
        if record is not None and record.phase is Phase.STARTING:
            self._forget(record)

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids."""
        self._expire(now)
        return next((r for r in self._started_on(owner, thread_id, now) if r.run_id == run_id), None)

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        self._expire(now)
        return _newest(self._started_on(owner, thread_id, now))

    def get(self, key: str) -> RunRecord | None:
        """The run with this key."""
        return self._records.get(key)

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _latest_before(self, question: Question) -> RunRecord | None:
        return _newest(self._records[key] for key in self._slots.get(slot_of(question), ()))

    def _started_on(self, owner: str, thread_id: str, now: float) -> Iterator[RunRecord]:
        """The runs on a thread whose ids are known. A run that was adopted can be older than those kept before it."""
        for key in self._slots.get(thread_slot(owner, thread_id), ()):
            record = self._retention.kept(self._records[key], now=now)
            if record is not None and record.thread_id is not None:
                yield record

    def _put(self, record: RunRecord) -> None:
        before = self._records.get(record.key)
        self._records[record.key] = record
        slots = slots_of(record)
        if before is None or slots_of(before) != slots:  # Contit may name another thread than was asked for
            self._leave_slots(before)
            for slot in slots:
                self._slots[slot].append(record.key)
        if record.answer is not None and record.ended_at is not None and (before is None or before.answer is None):
            self._answers.append((record.ended_at, record.key))

    def _expire(self, now: float) -> None:
        """Drop what is too old, and what is too much."""
        while self._answers and now - self._answers[0][0] > self._retention.answer:
            _, key = self._answers.popleft()
            if (record := self._records.get(key)) and (kept := self._retention.kept(record, now=now)):
                self._records[key] = kept
        old = takewhile(lambda r: now - r.asked_at > self._retention.record, self._records.values())
        for record in [r for r in old if self._retention.kept(r, now=now) is None]:
            self._forget(record)
        too_many = max(0, len(self._records) - self._capacity)
        for record in list(islice((r for r in self._records.values() if r.ended or start_died(r, now)), too_many)):
            self._forget(record)

    def _forget(self, record: RunRecord) -> None:
        del self._records[record.key]
        self._leave_slots(record)

    def _leave_slots(self, record: RunRecord | None) -> None:
        if record is None:
            return
        for slot in slots_of(record):
            self._slots[slot].remove(record.key)
            if not self._slots[slot]:
                del self._slots[slot]


def _newest(records: Iterator[RunRecord]) -> RunRecord | None:
    """The one asked last; of several at the same moment the one kept last."""
    newest = None
    for record in records:
        if newest is None or record.asked_at >= newest.asked_at:
            newest = record
    return newest

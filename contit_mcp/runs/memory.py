"""Runs remembered in this process only, for as long as it lives."""

import uuid
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, takewhile

from contit_mcp.runs.claims import Claim, Granted, ReplayPolicy, existing_run
from contit_mcp.runs.record import Delivery, Failure, Phase, Question, RunRecord
from contit_mcp.runs.store import RetentionPolicy


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
        self._records: dict[str, RunRecord] = {}  # in the order of asking
        self._threads: defaultdict[tuple[str, str], list[str]] = defaultdict(list)  # keys, in the same order
        self._openings: dict[Question, str] = {}  # the newest run that began a conversation with the question
        self._answers: deque[tuple[float, str]] = deque()  # (ended at, key), to let go of old answers in time

    async def claim(self, question: Question, *, awaited: bool, now: float) -> Claim:
        """Store the intent to start, or return the run that stands in its way."""
        self._expire(now)
        thread_id = question.thread_id
        latest = self._openings.get(question) if thread_id is None else self._last(question.owner, thread_id)
        if met := existing_run(question, self._records.get(latest or ""), now=now, policy=self._replay):
            return met
        delivery = Delivery.AWAITED if awaited else Delivery.HANDED_OVER
        record = RunRecord(key=uuid.uuid4().hex, question=question, asked_at=now, delivery=delivery)
        if thread_id is None:
            self._openings[question] = record.key
        else:
            self._threads[question.owner, thread_id].append(record.key)
        return Granted(self._put(record))

    async def awaited(self, record: RunRecord) -> RunRecord:
        """Note that a caller waits for the answer of a run whose ids had only been handed over."""
        known = self._records.get(record.key)
        if known is None or known.delivery is not Delivery.HANDED_OVER:
            return record
        return self._put(replace(known, delivery=Delivery.AWAITED))

    async def release(self, key: str) -> None:
        """Forget an intent that came to nothing."""
        record = self._records.get(key)
        if record is not None and record.phase is Phase.STARTING:
            self._forget(record)

    async def started(self, key: str, thread_id: str, run_id: str, *, now: float) -> RunRecord:
        """Store the ids of a run that was started."""
        intent = self._records[key]
        self._forget(intent)  # Contit may answer with another thread than the one that was asked for
        record = replace(intent, phase=Phase.IN_PROGRESS, thread_id=thread_id, run_id=run_id, started_at=now)
        self._threads[record.question.owner, thread_id].append(key)
        if record.begins_conversation:
            self._openings[record.question] = key
        return self._put(record)

    async def completed(self, record: RunRecord, answer: str, *, now: float) -> RunRecord:
        """Store the end of a run and its answer."""
        return self._end(record, phase=Phase.COMPLETED, answer=answer, failure=None, now=now)

    async def failed(self, record: RunRecord, failure: Failure, *, now: float) -> RunRecord:
        """Store the end of a run that has no answer."""
        return self._end(record, phase=Phase.FAILED, answer=None, failure=failure, now=now)

    async def delivered(self, record: RunRecord, delivery: Delivery, *, now: float) -> None:
        """Note that a caller was sent the answer."""
        if known := self._records.get(record.key):
            self._put(replace(known, delivery=delivery, delivered_at=now))

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids."""
        self._expire(now)
        return next((r for r in self._started_on(owner, thread_id) if r.run_id == run_id), None)

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        self._expire(now)
        return next(self._started_on(owner, thread_id), None)

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _last(self, owner: str, thread_id: str) -> str | None:
        keys = self._threads.get((owner, thread_id))
        return keys[-1] if keys else None

    def _started_on(self, owner: str, thread_id: str) -> Iterator[RunRecord]:
        """The runs on a thread whose ids are known, the newest first."""
        for key in reversed(self._threads.get((owner, thread_id), [])):
            record = self._records[key]
            if record.thread_id is not None:
                yield record

    def _put(self, record: RunRecord) -> RunRecord:
        self._records[record.key] = record
        return record

    def _end(
        self, record: RunRecord, *, phase: Phase, answer: str | None, failure: Failure | None, now: float
    ) -> RunRecord:
        known = self._records.get(record.key, record)
        if known.ended:
            return known
        ended = replace(known, phase=phase, answer=answer, failure=failure, ended_at=now)
        if record.key in self._records:
            keeps = answer is not None and self._retention.answer > 0
            self._put(ended if keeps else replace(ended, answer=None))
            if keeps:
                self._answers.append((now, record.key))
        return ended

    def _expire(self, now: float) -> None:
        """Drop what is too old, and what is too much."""
        while self._answers and now - self._answers[0][0] > self._retention.answer:
            _, key = self._answers.popleft()
            if record := self._records.get(key):
                self._put(replace(record, answer=None))
        old = takewhile(lambda r: now - r.asked_at > self._retention.record, self._records.values())
        for record in [r for r in old if r.phase is not Phase.STARTING]:  # its ids are still to come
            self._forget(record)
        too_many = max(0, len(self._records) - self._capacity)
        for record in list(islice((r for r in self._records.values() if r.ended), too_many)):
            self._forget(record)

    def _forget(self, record: RunRecord) -> None:
        del self._records[record.key]
        owner = record.question.owner
        thread_id = record.thread_id or record.question.thread_id
        if thread_id is not None:
            keys = self._threads[owner, thread_id]
            keys.remove(record.key)
            if not keys:
                del self._threads[owner, thread_id]
        if self._openings.get(record.question) == record.key:
            del self._openings[record.question]

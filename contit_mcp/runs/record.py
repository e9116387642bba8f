"""The record of one run: its fields, its transitions, and its form as a row of plain values."""

import hashlib
import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

MAX_LEASE_SECONDS = 60.0
"""A lease that ends later than this from now was written by a clock that is wrong, and is ignored. No lease is granted
for more than 25 s, so clocks may differ by 35 s."""

_MOST_CANCELLED = 100
"""Cancelled asks that are kept with one run; far more than ever wait for one."""


class Phase(StrEnum):
    """Where a run stands."""

    STARTING = "starting"
    """The intent is stored; the ids are not known yet."""
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class Failure(StrEnum):
    """Why a run counts as failed."""

    RUN_FAILED = "run_failed"
    """Contit reports it; it gives no reason."""
    NO_END_SEEN = "no_end_seen"
    """It went on past the limit and was given up."""
    NOT_FOUND = "not_found"
    """Contit answers 404 for it."""
    NO_ANSWER = "no_answer"
    """Contit calls it completed but has no answer for it."""


class Delivery(StrEnum):
    """Whether the answer is owed to a caller."""

    OWED = "owed"
    """A caller waited for the answer and has not got it."""
    DELIVERED = "delivered"
    """A call returned the answer; or `start` returned the ids and no caller has waited for the answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what on which thread. Equal questions are the same question.

    Attributes:
        owner: Identifies the caller (docs/architecture.md).
        thread_id: The conversation to continue; None begins a new one.
        prompt_hash: From `hash_prompt`; the prompt itself is never stored.
    """

    owner: str
    thread_id: str | None
    prompt_hash: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Times are seconds since the epoch. The methods are its transitions: each returns the record after it.

    Attributes:
        key: Our own name for the run, from before its ids are known.
        question: What was asked; its `thread_id` stays None for a run that began a conversation.
        asked_at: When the intent was stored.
        delivery: Whether the answer is owed to a caller.
        phase: Where the run stands.
        thread_id: Contit's id, once started.
        run_id: Contit's id, once started.
        started_at: When the ids were stored.
        ended_at: When the end was seen.
        run_seconds: From start to end, by the monotonic clock of a process that saw both; else by the wall clock.
        replay_until: Until when a delivered answer is returned once more to the same question.
        answer: The answer, for as long as it is kept.
        failure: Why the run counts as failed, if it does.
        lease_owner: The process that sends the start, or polls for everyone.
        lease_until: When that process counts as dead, unless it renews the lease.
        cancelled: The asks that their callers have cancelled, each by its time in milliseconds. The run goes on.
        title: The first words of the prompt, where one person uses the server; else None.
    """

    key: str
    question: Question
    asked_at: float
    delivery: Delivery
    phase: Phase = Phase.STARTING
    thread_id: str | None = None
    run_id: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    run_seconds: float | None = None
    replay_until: float | None = None
    answer: str | None = None
    failure: Failure | None = None
    lease_owner: str | None = None
    lease_until: float | None = None
    cancelled: tuple[int, ...] = ()
    title: str | None = None

    @property
    def ended(self) -> bool:
        """Whether an end was seen."""
        return self.phase in {Phase.COMPLETED, Phase.FAILED}

    @property
    def tracked(self) -> bool:
        """Whether it is more than a record made of ids alone (`untracked_run`)."""
        return self.phase is Phase.STARTING or self.started_at is not None

    @property
    def ids(self) -> tuple[str, str]:
        """Contit's two ids; only a started run has them."""
        assert self.thread_id is not None  # noqa: S101 - the docstring says it
        assert self.run_id is not None  # noqa: S101
        return self.thread_id, self.run_id

    def leased(self, now: float) -> bool:
        """Whether a process that counts as alive holds the lease."""
        return self.lease_until is not None and now < self.lease_until <= now + MAX_LEASE_SECONDS

    def started(self, thread_id: str, run_id: str, *, now: float) -> "RunRecord":
        """Contit has given its ids."""
        return replace(self, phase=Phase.IN_PROGRESS, thread_id=thread_id, run_id=run_id, started_at=now)

    def completed(self, answer: str, *, now: float, run_seconds: float | None) -> "RunRecord":
        """The run ended with an answer. The first end stays: a later reading could be another run's answer."""
        return self if self.ended else replace(self._at_end(now, run_seconds), phase=Phase.COMPLETED, answer=answer)

    def failed(self, failure: Failure, *, now: float, run_seconds: float | None) -> "RunRecord":
        """The run ended without an answer. The first end stays."""
        return self if self.ended else replace(self._at_end(now, run_seconds), phase=Phase.FAILED, failure=failure)

    def _at_end(self, now: float, run_seconds: float | None) -> "RunRecord":
        return replace(self, ended_at=now, run_seconds=run_seconds, lease_owner=None, lease_until=None)

    def owed(self) -> "RunRecord":
        """A caller waits for the answer, or left without it."""
        return replace(self, delivery=Delivery.OWED)

    def delivered(self, *, replay_until: float | None = None) -> "RunRecord":
        """A call returned the answer."""
        return replace(self, delivery=Delivery.DELIVERED, replay_until=replay_until)

    def leased_to(self, process: str, *, seconds: float, now: float) -> "RunRecord":
        """The process holds the lease from now on, unless another one does or the run has ended."""
        if self.ended or (self.leased(now) and self.lease_owner != process):
            return self
        return replace(self, lease_owner=process, lease_until=now + seconds)

    def released_by(self, process: str) -> "RunRecord":
        """The process no longer holds the lease."""
        return replace(self, lease_owner=None, lease_until=None) if self.lease_owner == process else self

    def cancelled_at(self, asked_at_ms: int) -> "RunRecord":
        """The caller of one ask has cancelled it. A run that has ended stays as it is."""
        if self.ended or asked_at_ms in self.cancelled:
            return self
        return replace(self, cancelled=(*self.cancelled, asked_at_ms)[-_MOST_CANCELLED:])

    def to_row(self) -> dict[str, str | float | None]:
        """Return the record as text, numbers and None, by the names in `ROW`."""
        row = {name: getattr(self, name) for name in _OF_RECORD}
        row |= {name: getattr(self.question, field) for name, field in _OF_QUESTION.items()}
        return row | {"cancelled": " ".join(map(str, self.cancelled))}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "RunRecord":
        """Return the record of a row.

        Values that an older version does not write have their defaults, words of a newer version the nearest meaning.

        Raises:
            UnreadableRecordError: A value is missing or not what this version can use.
        """
        try:
            values = {name: row[name] for name in _OF_RECORD if name in row} | {
                "phase": _phase(row),
                "delivery": Delivery.OWED if row["delivery"] == Delivery.OWED else Delivery.DELIVERED,
                "failure": _failure(row.get("failure")),
                "cancelled": tuple(map(int, row.get("cancelled", "").split())),
            }
            record = cls(question=Question(**{field: row[name] for name, field in _OF_QUESTION.items()}), **values)
        except (KeyError, ValueError, TypeError, AttributeError) as exc:
            raise UnreadableRecordError from exc
        if not _is_usable(record):
            raise UnreadableRecordError
        return record


class UnreadableRecordError(ValueError):
    """A stored record cannot be used; it counts as missing."""


_OF_RECORD = [field.name for field in fields(RunRecord) if field.name != "question"]
_OF_QUESTION = {"owner": "owner", "asked_thread_id": "thread_id", "prompt_hash": "prompt_hash"}

ROW = (*_OF_RECORD, *_OF_QUESTION)
"""The names in a row, always in this order."""


def _is_usable(record: RunRecord) -> bool:
    question = record.question
    needed = (record.key, question.owner, question.prompt_hash)
    texts = (record.thread_id, record.run_id, question.thread_id, record.answer, record.lease_owner, record.title)
    times = (record.started_at, record.ended_at, record.run_seconds, record.replay_until, record.lease_until)
    return (
        all(isinstance(text, str) for text in needed)
        and isinstance(record.asked_at, int | float)
        and all(text is None or isinstance(text, str) for text in texts)
        and all(time is None or isinstance(time, int | float) for time in times)
        and (record.phase is Phase.STARTING or (record.thread_id is not None and record.run_id is not None))
    )


def _phase(row: Mapping[str, Any]) -> Phase:
    try:
        return Phase(row["phase"])
    except ValueError:  # a newer version's word: what the other values say of the run decides
        if row.get("ended_at") is not None:
            return Phase.FAILED if row.get("answer") is None else Phase.COMPLETED
        return Phase.STARTING if row.get("run_id") is None else Phase.IN_PROGRESS


def _failure(word: str | None) -> Failure | None:
    try:
        return None if word is None else Failure(word)
    except ValueError:
        return Failure.RUN_FAILED


_count = itertools.count()


def intent_to_start(
    question: Question,
    *,
    delivery: Delivery,
    process: str,
    lease_seconds: float,
    now: float,
    title: str | None = None,
) -> RunRecord:
    """Return what is stored before a start is sent. Keys of one process sort in the order of asking."""
    return RunRecord(
        key=f"{int(now * 1000):012x}{next(_count) & 0xFFFFFFFF:08x}{secrets.token_hex(6)}",
        question=question,
        asked_at=now,
        delivery=delivery,
        lease_owner=process,
        lease_until=now + lease_seconds,
        title=title,
    )


def untracked_run(owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord:
    """Return a record made of ids alone, for a run that is not stored; its start time is unknown."""
    return RunRecord(
        key=f"untracked {owner} {thread_id} {run_id}",
        question=Question(owner, thread_id, prompt_hash=""),
        asked_at=now,
        delivery=Delivery.DELIVERED,
        phase=Phase.IN_PROGRESS,
        thread_id=thread_id,
        run_id=run_id,
    )


def hash_prompt(prompt: str) -> str:
    """Return a fingerprint: equal for equal prompts. It does not reveal a long prompt."""
    return hashlib.sha256(prompt.encode("utf-8")).hexdigest()

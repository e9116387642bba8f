"""The record of one run: its fields, its transitions, and its form as a text."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter

SCHEMA_VERSION = 4  # of the text and of what stores keep beside it; versions with another one do not see these runs

START_LEASE_SECONDS = 25.0  # how long an intent stands: longer than sending a start can take (20 s)
# A lease that ends later than this from now was written by a clock that is wrong, and is ignored. No lease is granted
# for more than 25 s, so clocks may differ by 35 s.
MAX_LEASE_SECONDS = 60.0
_MOST_CANCELLED = 100  # asks that are kept with one run


class Phase(StrEnum):
    """Where a run stands. While it is starting, its intent is stored and its ids are not known yet."""

    STARTING = "starting"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class Failure(StrEnum):
    """Why a run counts as failed."""

    RUN_FAILED = "run_failed"  # Contit reports it; it gives no reason
    NO_END_SEEN = "no_end_seen"  # it went on past the limit and was given up
    NOT_FOUND = "not_found"  # Contit answers 404 for it
    NO_ANSWER = "no_answer"  # Contit calls it completed but has no answer for it


class Delivery(StrEnum):
    """Whether a caller waited for the answer and has not got it. After `start` alone nothing is owed."""

    OWED = "owed"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what on which thread; None begins a conversation. The hash does not reveal a long prompt."""

    owner: str
    thread_id: str | None
    prompt_hash: str

    @classmethod
    def of(cls, owner: str, thread_id: str | None, prompt: str) -> "Question":
        """Return the question of a prompt."""
        return cls(owner, thread_id, hashlib.sha256(prompt.encode()).hexdigest())


def _known(word: StrEnum) -> BeforeValidator:
    """Read a text that is none of its words, of a newer version, as this one."""
    words = {str(each) for each in type(word)}
    return BeforeValidator(lambda value: word if isinstance(value, str) and value not in words else value)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Times are seconds since the epoch. The methods are its transitions: each returns the record after it."""

    key: str  # our own name for the run, from before its ids are known
    question: Question  # its `thread_id` stays None for a run that began a conversation
    asked_at: float
    delivery: Annotated[Delivery, _known(Delivery.DELIVERED)]
    thread_id: str | None = None
    run_id: str | None = None
    started_at: float | None = None  # when the ids were stored
    ended_at: float | None = None
    run_seconds: float | None = None  # by the monotonic clock of a process that saw start and end; else by the wall's
    replay_until: float | None = None  # until then a delivered answer is returned once more to the same question
    answer: str | None = None
    failure: Annotated[Failure | None, _known(Failure.RUN_FAILED)] = None
    lease_owner: str | None = None  # the process that sends the start, or polls for everyone
    lease_until: float | None = None  # if it does not renew
    cancelled: tuple[int, ...] = ()  # asks that their callers have cancelled, by their time in ms; the run goes on
    title: str | None = None  # the first words of the prompt, where one person uses the server

    @property
    def phase(self) -> Phase:
        """Where the run stands."""
        if self.ended:
            return Phase.COMPLETED if self.failure is None else Phase.FAILED
        return Phase.STARTING if self.run_id is None else Phase.IN_PROGRESS

    @property
    def ended(self) -> bool:
        """Whether an end was seen."""
        return self.ended_at is not None

    @property
    def tracked(self) -> bool:
        """Whether it is more than a record made of ids alone (`untracked_run`)."""
        return self.phase is Phase.STARTING or self.started_at is not None

    @property
    def ids(self) -> tuple[str, str]:
        """Contit's two ids; only a started run has them."""
        assert self.thread_id is not None and self.run_id is not None  # noqa: PT018, S101 - the docstring says it
        return self.thread_id, self.run_id

    def leased(self, now: float) -> bool:
        """Whether a process that counts as alive holds the lease."""
        return self.lease_until is not None and now < self.lease_until <= now + MAX_LEASE_SECONDS

    def started(self, thread_id: str, run_id: str, *, now: float) -> "RunRecord":
        """Contit has given its ids."""
        return replace(self, thread_id=thread_id, run_id=run_id, started_at=now)

    def end(
        self, *, now: float, run_seconds: float | None, answer: str | None = None, failure: Failure | None = None
    ) -> "RunRecord":
        """The run ended. The first end stays: a later reading could be another run's answer."""
        if self.ended:
            return self
        ended = replace(self, ended_at=now, run_seconds=run_seconds, answer=answer, failure=failure)
        return replace(ended, lease_owner=None, lease_until=None)

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

    def to_json(self) -> str:
        """Return the record without its answer as a text."""
        return _form().dump_json(self, exclude={"answer"}).decode()

    @classmethod
    def from_json(cls, text: str, answer: str | None) -> "RunRecord":
        """Return the record of a text, also of an older or newer version with the same schema; or raise ValueError."""
        record = replace(_form().validate_json(text), answer=answer)
        if (record.thread_id is None or record.run_id is None) and (record.run_id is not None or record.ended):
            raise ValueError("a started run without ids")
        return record


@cache
def _form() -> TypeAdapter[RunRecord]:
    return TypeAdapter(RunRecord)


def intent_to_start(
    question: Question, *, delivery: Delivery, process: str, now: float, title: str | None = None
) -> RunRecord:
    """Return what is stored before a start is sent. Keys sort in the order of asking."""
    return RunRecord(
        key=f"{int(now * 1000):012x}{secrets.token_hex(10)}",
        question=question,
        asked_at=now,
        delivery=delivery,
        lease_owner=process,
        lease_until=now + START_LEASE_SECONDS,
        title=title,
    )


def untracked_run(owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord:
    """Return a record made of ids alone, for a run that is not stored; its start time is unknown."""
    question = Question(owner, thread_id, prompt_hash="")
    key = f"untracked {owner} {thread_id} {run_id}"
    return RunRecord(key, question, now, Delivery.DELIVERED, thread_id=thread_id, run_id=run_id)

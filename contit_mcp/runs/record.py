"""The record of one run: its fields, its transitions, and its form as a text."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter

SCHEMA_VERSION = 4  # of `to_json` and of the stores' layout; a process with another one does not see these runs

START_LEASE_SECONDS = 25.0  # how long an intent stands: longer than sending a start can take (20 s)
# A lease that ends later than this from now was written by a clock that is wrong, and is ignored. No lease is granted
# for more than 25 s, so clocks may differ by 35 s.
MAX_LEASE_SECONDS = 60.0
_MOST_CANCELLED = 100  # cancelled asks that are stored with one run


class Phase(StrEnum):
    """The state of a run. While it is starting, its intent is stored and its ids are not known yet."""

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
    """Whether a caller is still to get the answer (docs/architecture.md, decision 2)."""

    OWED = "owed"  # a caller waits for the answer, or left without it
    DELIVERED = "delivered"  # a call returned the answer, or none has waited for it: `start` does not wait


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what on which thread; None is a new thread. The prompt is stored as a hash."""

    owner: str
    thread_id: str | None
    prompt_hash: str

    @classmethod
    def of(cls, owner: str, thread_id: str | None, prompt: str) -> "Question":
        """Return the question of a prompt."""
        return cls(owner, thread_id, hashlib.sha256(prompt.encode()).hexdigest())


def _known(word: StrEnum) -> BeforeValidator:
    """Return a validator that reads an unknown word, which a newer version wrote, as `word`."""
    words = {str(each) for each in type(word)}
    return BeforeValidator(lambda value: word if isinstance(value, str) and value not in words else value)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Times are seconds since the epoch. The methods that return a record are its transitions."""

    key: str  # our own id of the run, which exists before Contit's ids do
    question: Question  # its `thread_id` stays None for a run that began a thread
    asked_at: float
    delivery: Annotated[Delivery, _known(Delivery.DELIVERED)]
    thread_id: str | None = None
    run_id: str | None = None
    started_at: float | None = None  # when the ids were stored
    ended_at: float | None = None
    run_seconds: float | None = None  # by the monotonic clock if one process saw start and end; else by the wall clock
    replay_until: float | None = None  # until then a delivered answer is returned once more to the same question
    answer: str | None = None
    failure: Annotated[Failure | None, _known(Failure.RUN_FAILED)] = None
    lease_owner: str | None = None  # the process (not a `Question.owner`) that sends the start, or polls for everyone
    lease_until: float | None = None  # unless it is renewed
    cancelled: tuple[int, ...] = ()  # the `asked_at_ms` of asks that were cancelled as tasks; the run goes on
    title: str | None = None  # the first words of the prompt, where one person uses the server

    @property
    def phase(self) -> Phase:
        """The state of the run."""
        if self.ended:
            return Phase.COMPLETED if self.failure is None else Phase.FAILED
        return Phase.STARTING if self.run_id is None else Phase.IN_PROGRESS

    @property
    def ended(self) -> bool:
        """Whether an end was seen."""
        return self.ended_at is not None

    @property
    def tracked(self) -> bool:
        """Whether a start of ours is stored for it. If not, the record was made of ids alone (`untracked_run`)."""
        return self.phase is Phase.STARTING or self.started_at is not None

    @property
    def ids(self) -> tuple[str, str]:
        """Contit's two ids; only a started run has them."""
        assert self.thread_id is not None and self.run_id is not None  # noqa: PT018, S101 - the docstring says it
        return self.thread_id, self.run_id

    def leased(self, now: float) -> bool:
        """Whether some process holds the lease and so counts as alive."""
        return self.lease_until is not None and now < self.lease_until <= now + MAX_LEASE_SECONDS

    def started(self, thread_id: str, run_id: str, *, now: float) -> "RunRecord":
        """Return the record with Contit's ids."""
        return replace(self, thread_id=thread_id, run_id=run_id, started_at=now)

    def end(
        self, *, now: float, run_seconds: float | None, answer: str | None = None, failure: Failure | None = None
    ) -> "RunRecord":
        """Return the record with its end. The first end stays: a later reading could be another run's answer."""
        if self.ended:
            return self
        ended = replace(self, ended_at=now, run_seconds=run_seconds, answer=answer, failure=failure)
        return replace(ended, lease_owner=None, lease_until=None)

    def owed(self) -> "RunRecord":
        """Return the record with its answer owed to a caller."""
        return replace(self, delivery=Delivery.OWED)

    def delivered(self, *, replay_until: float | None = None) -> "RunRecord":
        """Return the record with its answer delivered."""
        return replace(self, delivery=Delivery.DELIVERED, replay_until=replay_until)

    def leased_to(self, process: str, *, seconds: float, now: float) -> "RunRecord":
        """Return the record leased to the process, unless another process holds the lease or the run has ended."""
        if self.ended or (self.leased(now) and self.lease_owner != process):
            return self
        return replace(self, lease_owner=process, lease_until=now + seconds)

    def released_by(self, process: str) -> "RunRecord":
        """Return the record without the process's lease."""
        return replace(self, lease_owner=None, lease_until=None) if self.lease_owner == process else self

    def cancelled_at(self, asked_at_ms: int) -> "RunRecord":
        """Return the record with one ask cancelled. A run that has ended stays as it is."""
        if self.ended or asked_at_ms in self.cancelled:
            return self
        return replace(self, cancelled=(*self.cancelled, asked_at_ms)[-_MOST_CANCELLED:])

    def to_json(self) -> str:
        """Return the record without its answer as a text."""
        return _form().dump_json(self, exclude={"answer"}).decode()

    @classmethod
    def from_json(cls, text: str, answer: str | None) -> "RunRecord":
        """Return the record of a text of any version with the same schema. Raise ValueError if it cannot be read."""
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
    """Return the record to store before a start is sent. Keys sort by the time of asking."""
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
    """Return a record made of ids alone, for a run that is not stored. The time of its start is unknown."""
    question = Question(owner, thread_id, prompt_hash="")
    key = f"untracked {owner} {thread_id} {run_id}"
    return RunRecord(key, question, now, Delivery.DELIVERED, thread_id=thread_id, run_id=run_id)

"""What is remembered of one run."""

import hashlib
import itertools
import secrets
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a remembered run stands."""

    STARTING = "starting"
    """The intent is stored, the ids are not known yet."""
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class Failure(StrEnum):
    """Why a run counts as failed."""

    RUN_FAILED = "run_failed"
    """Contit said so; it gives no reason."""
    NO_END_SEEN = "no_end_seen"
    """It went on past our limit and was given up."""
    NOT_FOUND = "not_found"
    """Contit no longer knows it."""
    NO_ANSWER = "no_answer"
    """Contit called it completed and had no answer for it."""


class Delivery(StrEnum):
    """What is known of whether a caller has the answer."""

    HANDING_OVER = "handing_over"
    """The ids are being given by `start`. Until that is known to be done, whoever asks again has not got them."""
    HANDED_OVER = "handed_over"
    """The ids were given by `start`; nobody waited for the answer."""
    AWAITED = "awaited"
    """A caller waited for the answer and has not got it: it left, or its wait ended first."""
    SENDING = "sending"
    """The answer is being sent by the process that holds the run. If that hold ends by itself, the process died
    before it could say that the answer was sent, and whoever asks again has not got it."""
    UNSURE = "unsure"
    """The answer was sent after so long that the caller's host may have given up before it came."""
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what where. Equal questions are the same question.

    Attributes:
        owner: Who asks and with what (design.md, section 3).
        thread_id: The conversation it continues; None begins a new one.
        prompt_hash: From `hash_prompt`; the prompt itself is never kept.
    """

    owner: str
    thread_id: str | None
    prompt_hash: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Times are seconds since the epoch.

    Attributes:
        key: Our own name for it, from before its ids are known.
        question: What was asked; its `thread_id` stays None for a run that began a conversation.
        thread_id: Contit's id, once started.
        run_id: Contit's id, once started.
        phase: Where it stands.
        delivery: Whether a caller has the answer.
        asked_at: When the intent was stored.
        started_at: When its ids were stored.
        ended_at: When its end was seen.
        delivered_at: When the answer was last given to a caller.
        answer: The answer, for as long as it is kept.
        failure: Why it counts as failed, if it does.
        holder: The process that sends its start, asks about it for everyone, or sends its answer.
        held_until: When that process counts as gone, unless it renews.
        cancelled: The asks that their callers have taken back, each by its time in milliseconds. The run goes on.
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
    delivered_at: float | None = None
    answer: str | None = None
    failure: Failure | None = None
    holder: str | None = None
    held_until: float | None = None
    cancelled: tuple[int, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether an end was seen."""
        return self.phase in {Phase.COMPLETED, Phase.FAILED}

    @property
    def begins_conversation(self) -> bool:
        """Whether it was asked without a thread."""
        return self.question.thread_id is None

    @property
    def remembered(self) -> bool:
        """Whether it is more than a record made of ids alone."""
        return self.phase is Phase.STARTING or self.started_at is not None

    def held(self, now: float) -> bool:
        """Whether a process that lives is at it."""
        return self.holder is not None and self.held_until is not None and now < self.held_until


_count = itertools.count()


def intent_to_start(question: Question, *, delivery: Delivery, holder: str, held_until: float, now: float) -> RunRecord:
    """What is stored before a start is sent. Keys of one process sort in the order of asking."""
    return RunRecord(
        key=f"{int(now * 1000):012x}{next(_count) & 0xFFFFFFFF:08x}{secrets.token_hex(6)}",
        question=question,
        asked_at=now,
        delivery=delivery,
        holder=holder,
        held_until=held_until,
    )


def hash_prompt(prompt: str) -> str:
    """A fingerprint of the prompt: equal for equal prompts, and telling nothing else of a long one."""
    return hashlib.sha256(prompt.encode("utf-8")).hexdigest()


def unremembered(owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord:
    """A record of a run that no store knows, made of its ids alone; when it was started is not known."""
    return RunRecord(
        key=f"unremembered {owner} {thread_id} {run_id}",
        question=Question(owner, thread_id, prompt_hash=""),
        asked_at=now,
        delivery=Delivery.HANDED_OVER,
        phase=Phase.IN_PROGRESS,
        thread_id=thread_id,
        run_id=run_id,
    )

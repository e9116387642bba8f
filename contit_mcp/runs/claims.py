"""May this question start a run? One pure rule for every store; a store makes reading and writing atomic.

Provenance: our choice (design.md, section 3, "One run per thread" and "Single flight").
"""

from dataclasses import dataclass, replace

from contit_mcp.runs.record import Delivery, Phase, Question, RunRecord


@dataclass(frozen=True, slots=True)
class ReplayPolicy:
    """When an answer is given again to the same question instead of asking anew. Seconds.

    Attributes:
        slow_call: A call that lasted longer may have outlived its host's patience: delivery is unsure.
        again_within: How long after an unsure delivery the same question gets the same answer, once.
    """

    slow_call: float = 4.0
    again_within: float = 120.0


@dataclass(frozen=True, slots=True)
class Granted:
    """The question may start; its intent is stored.

    Attributes:
        record: The intent.
        interrupted: Whether a process died while it was sending the same question. Whether Contit got it is not
            known, and cannot be: there is no idempotency key.
    """

    record: RunRecord
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """The same question is in flight, or its answer is still wanted: this is its run."""

    record: RunRecord


@dataclass(frozen=True, slots=True)
class Busy:
    """The thread has another run in flight."""

    record: RunRecord


Claim = Granted | Joined | Busy


def decide(intent: RunRecord, latest: RunRecord | None, *, now: float, policy: ReplayPolicy) -> Claim:
    """What a store answers to a claim; when it is granted, the record in it is what the store keeps.

    Args:
        intent: What wants to start.
        latest: As for `existing_run`.
        now: Seconds since the epoch.
        policy: When an answer is given again.
    """
    if latest is None:
        return Granted(intent)
    if latest.key == intent.key:
        return Granted(latest)  # granted before, and the store's answer was lost on its way
    if met := existing_run(intent.question, latest, now=now, policy=policy):
        return met
    # The order of runs on a thread must not depend on whose clock is ahead.
    asked_at = max(intent.asked_at, latest.asked_at + _TICK)
    return Granted(replace(intent, asked_at=asked_at), interrupts(intent.question, latest, now=now))


_TICK = 1e-4
"""Seconds; well above what a float of the epoch can tell apart."""


def existing_run(question: Question, latest: RunRecord | None, *, now: float, policy: ReplayPolicy) -> Claim | None:
    """The run that this question meets, or None when it may start one.

    Args:
        question: What is asked.
        latest: The newest run on the question's thread; for a new conversation the newest run that began one
            with the same question. In both cases of the same owner.
        now: Seconds since the epoch.
        policy: When an answer is given again.
    """
    if latest is None or start_died(latest, now):
        return None
    same = latest.question.prompt_hash == question.prompt_hash
    if not latest.ended:
        return Joined(latest) if same else Busy(latest)
    return Joined(latest) if same and _answer_is_wanted(question, latest, now, policy) else None


def slots_of(record: RunRecord) -> list[Question]:
    """What a run may be the newest of: a thread, and the question that began a conversation."""
    question = record.question
    thread_id = record.thread_id or question.thread_id
    slots = [] if thread_id is None else [thread_slot(question.owner, thread_id)]
    return [*slots, question] if question.thread_id is None else slots


def slot_of(question: Question) -> Question:
    """Where the run is found that a question meets."""
    return question if question.thread_id is None else thread_slot(question.owner, question.thread_id)


def thread_slot(owner: str, thread_id: str) -> Question:
    """A thread, whatever is asked on it."""
    return Question(owner, thread_id, prompt_hash="")


def interrupts(question: Question, latest: RunRecord | None, *, now: float) -> bool:
    """Whether `latest` is a start of the same question whose process died before the ids were stored."""
    return latest is not None and start_died(latest, now) and latest.question.prompt_hash == question.prompt_hash


def start_died(latest: RunRecord, now: float) -> bool:
    """Whether it is a start whose process died, or gave up, before the ids were stored."""
    return latest.phase is Phase.STARTING and not latest.held(now)


def _answer_is_wanted(question: Question, ended: RunRecord, now: float, policy: ReplayPolicy) -> bool:
    if ended.phase is not Phase.COMPLETED or ended.answer is None:
        return False
    if ended.delivery in _OWED:
        return True
    if ended.delivery is not Delivery.UNSURE or question.thread_id is not None or ended.delivered_at is None:
        return False
    return now - ended.delivered_at <= policy.again_within


_OWED = frozenset({Delivery.AWAITED, Delivery.HANDING_OVER, Delivery.SENDING})
"""What nobody is known to have got. While an answer is being sent, a claim waits to hear what became of it."""


def is_being_sent(record: RunRecord, now: float) -> bool:
    """Whether a process that lives is sending its answer, and will say when that is done."""
    return record.delivery is Delivery.SENDING and record.held(now)


def delivery_after(record: RunRecord, *, call_seconds: float, policy: ReplayPolicy) -> Delivery:
    """What is known of the delivery once the answer was sent.

    An answer that is given again is there at once, so that call is quick and its delivery certain: it is given
    again once.

    Args:
        record: The run.
        call_seconds: How long the call that sends the answer lasted.
        policy: What counts as slow.
    """
    unsure = record.begins_conversation and call_seconds > policy.slow_call
    return Delivery.UNSURE if unsure else Delivery.DELIVERED

"""May this question start a run? One pure rule for every store; a store makes reading and writing atomic."""

from dataclasses import dataclass, replace

from contit_mcp.runs.record import Delivery, Phase, Question, RunRecord

POLL_LEASE_SECONDS = 10.0
"""How long a process may be silent before another one polls in its place. A fraction of what hosts wait, and more than
the age at which a lease is renewed and the longest pause between two polls together (4 + 5.5 s). Where backoff makes
the pauses longer, another process may poll as well."""

START_LEASE_SECONDS = 25.0
"""How long an intent stands: longer than a start can take once it is being sent (20 s)."""

RENEW_SECONDS = 4.0
"""How old a lease is when it is renewed."""


@dataclass(frozen=True, slots=True)
class ReplayPolicy:
    """When a delivered answer is returned once more to the same question of a new conversation. Seconds.

    Attributes:
        slow_call: A call that lasted longer may have outlived its host's wait.
        again_within: How long after such a call the same question gets the same answer, once.
    """

    slow_call: float = 4.0
    again_within: float = 120.0


@dataclass(frozen=True, slots=True)
class Granted:
    """The question may start; its intent is stored.

    Attributes:
        record: The intent.
        interrupted: Whether a process died while it was sending the same question. Whether Contit accepted that start
            cannot be known: there is no idempotency key.
    """

    record: RunRecord
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """The same question is in flight, or its answer is still owed: this is its run."""

    record: RunRecord


@dataclass(frozen=True, slots=True)
class Busy:
    """The thread has another run in flight."""

    record: RunRecord


Claim = Granted | Deduplicated | Busy


def decide(intent: RunRecord, latest: RunRecord | None, *, now: float) -> Claim:
    """Return a store's answer to a claim; the record in a grant is what the store keeps.

    Args:
        intent: The question that wants to start.
        latest: As for `existing_run`.
        now: Seconds since the epoch.
    """
    if latest is None:
        return Granted(intent)
    if latest.key == intent.key:
        return Granted(latest)  # granted before, and the store's answer was lost on its way
    if found := existing_run(intent.question, latest, now=now):
        return found
    # The order of runs on a thread must not depend on whose clock is ahead.
    asked_at = max(intent.asked_at, latest.asked_at + _TICK)
    return Granted(replace(intent, asked_at=asked_at), interrupts(intent.question, latest, now=now))


_TICK = 1e-4
"""Seconds; well above what a float of the epoch can tell apart."""


def existing_run(question: Question, latest: RunRecord | None, *, now: float) -> Deduplicated | Busy | None:
    """Return the run that keeps this question from starting one; None if it may start.

    Args:
        question: What is asked.
        latest: The newest run on the question's thread; for a new conversation the newest run that began one
            with the same question. In both cases of the same owner.
        now: Seconds since the epoch.
    """
    if latest is None or start_died(latest, now):
        return None
    same = latest.question.prompt_hash == question.prompt_hash
    if not latest.ended:
        return Deduplicated(latest) if same else Busy(latest)
    return Deduplicated(latest) if same and _answer_is_due(question, latest, now) else None


def _answer_is_due(question: Question, ended: RunRecord, now: float) -> bool:
    if ended.answer is None:
        return False
    if ended.delivery is Delivery.OWED:
        return True
    return question.thread_id is None and ended.replay_until is not None and now <= ended.replay_until


def slots_of(record: RunRecord) -> list[Question]:
    """Return what a run may be the newest of: its thread, and the question that began its conversation."""
    question = record.question
    thread_id = record.thread_id or question.thread_id
    slots = [] if thread_id is None else [thread_slot(question.owner, thread_id)]
    return [*slots, question] if question.thread_id is None else slots


def slot_of(question: Question) -> Question:
    """Return the slot of the run that may keep this question from starting."""
    return question if question.thread_id is None else thread_slot(question.owner, question.thread_id)


def thread_slot(owner: str, thread_id: str) -> Question:
    """Return the slot of a thread, whatever is asked on it."""
    return Question(owner, thread_id, prompt_hash="")


def interrupts(question: Question, latest: RunRecord | None, *, now: float) -> bool:
    """Whether `latest` is a start of the same question whose process died before the ids were stored."""
    return latest is not None and start_died(latest, now) and latest.question.prompt_hash == question.prompt_hash


def start_died(latest: RunRecord, now: float) -> bool:
    """Whether it is a start whose process died, or gave up, before the ids were stored."""
    return latest.phase is Phase.STARTING and not latest.leased(now)

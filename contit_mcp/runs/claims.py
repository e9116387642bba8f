"""May this question start a run? One pure rule for every store; a store makes reading and writing atomic."""

from dataclasses import dataclass, replace

from contit_mcp.runs.record import Delivery, Phase, Question, RunRecord

# How long a process may be silent before another one polls in its place. More than the age at which a lease is renewed
# and the longest pause between two polls together (4 + 5.5 s). Where backoff makes pauses longer, both may poll.
POLL_LEASE_SECONDS = 10.0
RENEW_SECONDS = 4.0  # how old a lease is when it is renewed


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of a question, and the run that decides it.

    If `interrupted`, a process died while it was sending the same question. Whether Contit accepted that start cannot
    be known: there is no idempotency key.
    """

    record: RunRecord
    interrupted: bool = False


class Granted(Claim):
    """The question may start; its intent is stored."""


class Deduplicated(Claim):
    """The same question is in flight, or its answer is still owed: this is its run."""


class Busy(Claim):
    """The thread has another run in flight."""


def decide(intent: RunRecord, latest: RunRecord | None, *, now: float) -> Claim:
    """Return a store's answer to a claim; the record in a grant is what the store keeps.

    `latest` is the newest run in the question's slot (`slot_of`).
    """
    if latest is None:
        return Granted(intent)
    if latest.key == intent.key:
        return Granted(latest)  # granted before, and the store's answer was lost on its way
    if found := existing_run(intent.question, latest, now=now):
        return found
    # The order of runs on a thread must not depend on whose clock is ahead. A float of the epoch can tell this apart.
    asked_at = max(intent.asked_at, latest.asked_at + 1e-4)
    interrupted = start_died(latest, now) and latest.question.prompt_hash == intent.question.prompt_hash
    return Granted(replace(intent, asked_at=asked_at), interrupted)


def existing_run(question: Question, latest: RunRecord, *, now: float) -> Claim | None:
    """Return the run that keeps this question from starting one; None if it may start."""
    if start_died(latest, now):
        return None
    same = latest.question.prompt_hash == question.prompt_hash
    if not latest.ended:
        return Deduplicated(latest) if same else Busy(latest)
    again = question.thread_id is None and latest.replay_until is not None and now <= latest.replay_until
    is_due = latest.answer is not None and (latest.delivery is Delivery.OWED or again)
    return Deduplicated(latest) if same and is_due else None


def start_died(latest: RunRecord, now: float) -> bool:
    """Whether it is a start whose process died, or gave up, before the ids were stored."""
    return latest.phase is Phase.STARTING and not latest.leased(now)


Slot = tuple[str, str, str]
"""An owner, and a thread (`thread_id`) or the prompt that began a conversation (`opening`): its newest run decides.
One run alone is in the slot of its `key`."""


def slots_of(record: RunRecord) -> list[Slot]:
    """Return the slots that a run is in."""
    question = record.question
    thread_id = record.thread_id or question.thread_id
    slots = [] if thread_id is None else [(question.owner, "thread_id", thread_id)]
    return [*slots, slot_of(question)] if question.thread_id is None else slots


def slot_of(question: Question) -> Slot:
    """Return the slot of the run that may keep this question from starting."""
    if question.thread_id is None:
        return question.owner, "opening", question.prompt_hash
    return question.owner, "thread_id", question.thread_id


def key_slot(record: RunRecord) -> Slot:
    """Return the slot of one run."""
    return record.question.owner, "key", record.key

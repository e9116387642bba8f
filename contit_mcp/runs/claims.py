"""Whether a question may start a run: one pure rule for every store, which applies it in one atomic step."""

from dataclasses import dataclass, replace

from contit_mcp.runs.record import Delivery, Phase, Question, RunRecord

# How long a process may be silent before another one polls in its place. It is longer than the age at which a lease is
# renewed plus the longest pause between two polls (4 + 5.5 s). If backoff makes pauses longer, both may poll.
POLL_LEASE_SECONDS = 10.0
RENEW_SECONDS = 4.0  # how old a lease is when it is renewed


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of a claim, and the run that it is about.

    If `interrupted`, an earlier start of the same question did not get its ids stored: the process died, or got no
    usable response. Contit may run the question twice: there is no idempotency key.
    """

    record: RunRecord
    interrupted: bool = False


class Granted(Claim):
    """The question may start; its intent is stored."""


class Deduplicated(Claim):
    """The same question has a run already: one in flight, or one whose answer is to be returned."""


class Busy(Claim):
    """The thread has another run in flight."""


def decide(intent: RunRecord, latest: RunRecord | None, *, now: float) -> Claim:
    """Return the result of a claim. The store keeps the record of a grant.

    `latest` is the newest run in the question's slot (`slot_of`).
    """
    if latest is None:
        return Granted(intent)
    if latest.key == intent.key:
        return Granted(latest)  # granted before, and the store's response was lost on its way
    if found := existing_run(intent.question, latest, now=now):
        return found
    # The last run claimed must be the newest in its slot, even if another clock is ahead. Floats can represent 0.1 ms.
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
    may_replay = question.thread_id is None and latest.replay_until is not None and now <= latest.replay_until
    is_wanted = latest.answer is not None and (latest.delivery is Delivery.OWED or may_replay)
    return Deduplicated(latest) if same and is_wanted else None


def start_died(latest: RunRecord, now: float) -> bool:
    """Whether the run is a start whose process died, or gave up, before the ids were stored."""
    return latest.phase is Phase.STARTING and not latest.leased(now)


Slot = tuple[str, str, str]
"""Owner, kind, value. The runs on a thread share a slot of kind `thread_id`, those that began a thread with the same
prompt one of kind `opening`. The newest run in a slot decides a claim. A slot of kind `key` has one run alone."""


def slots_of(record: RunRecord) -> list[Slot]:
    """Return the slots that a run is in."""
    question = record.question
    thread_id = record.thread_id or question.thread_id
    slots = [] if thread_id is None else [(question.owner, "thread_id", thread_id)]
    return [*slots, slot_of(question)] if question.thread_id is None else slots


def slot_of(question: Question) -> Slot:
    """Return the slot whose newest run may keep this question from starting."""
    if question.thread_id is None:
        return question.owner, "opening", question.prompt_hash
    return question.owner, "thread_id", question.thread_id


def key_slot(record: RunRecord) -> Slot:
    """Return the slot that has this run alone."""
    return record.question.owner, "key", record.key

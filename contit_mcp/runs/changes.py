"""All that can happen to a record, as pure functions. Times are seconds since the epoch."""

from dataclasses import replace

from contit_mcp.runs.record import Delivery, Failure, Phase, RunRecord
from contit_mcp.runs.store import Change


def started(thread_id: str, run_id: str, *, now: float) -> Change:
    """Contit has given its ids."""
    return lambda record: replace(record, phase=Phase.IN_PROGRESS, thread_id=thread_id, run_id=run_id, started_at=now)


def completed(answer: str, *, now: float) -> Change:
    """It ended with an answer. The first end stays: a later reading could be another run's answer."""
    return lambda record: (
        record
        if record.ended
        else replace(record, phase=Phase.COMPLETED, answer=answer, ended_at=now, holder=None, held_until=None)
    )


def failed(failure: Failure, *, now: float) -> Change:
    """It ended without an answer. The first end stays."""
    return lambda record: (
        record
        if record.ended
        else replace(record, phase=Phase.FAILED, failure=failure, ended_at=now, holder=None, held_until=None)
    )


def awaited(record: RunRecord) -> RunRecord:
    """Someone waits for the answer of a run whose ids had only been handed over."""
    return replace(record, delivery=Delivery.AWAITED) if record.delivery in _WITHOUT_ANSWER else record


_WITHOUT_ANSWER = frozenset({Delivery.HANDING_OVER, Delivery.HANDED_OVER})


def handed_over(record: RunRecord) -> RunRecord:
    """The ids have reached a caller who does not wait for the answer."""
    return replace(record, delivery=Delivery.HANDED_OVER) if record.delivery is Delivery.HANDING_OVER else record


def sending(holder: str, *, until: float, now: float) -> Change:
    """The answer is being sent."""
    return lambda record: replace(record, delivery=Delivery.SENDING, delivered_at=now, holder=holder, held_until=until)


def delivered(delivery: Delivery, *, now: float) -> Change:
    """A caller was sent the answer."""
    return lambda record: replace(record, delivery=delivery, delivered_at=now, holder=None, held_until=None)


def held(holder: str, *, until: float, now: float) -> Change:
    """A process is at it from now on, unless another one that lives is, or it has ended."""
    return lambda record: (
        record
        if record.ended or (record.held(now) and record.holder != holder)
        else replace(record, holder=holder, held_until=until)
    )


def let_go(holder: str) -> Change:
    """The process that was at it no longer is."""
    return lambda record: replace(record, holder=None, held_until=None) if record.holder == holder else record


def cancelled(ask: int) -> Change:
    """The caller of one ask no longer wants its answer. What has ended stays as it is."""
    return lambda record: (
        record
        if record.ended or ask in record.cancelled
        else replace(record, cancelled=(*record.cancelled, ask)[-_MOST_CANCELLED:])
    )


_MOST_CANCELLED = 100
"""Of one run; far more than ever wait for one."""


def unchanged(record: RunRecord) -> RunRecord:
    """Nothing; it is only kept where it was not."""
    return record


def seen(other: RunRecord) -> Change:
    """What a reading of it says, unless more is known already: readings can arrive late."""
    return lambda record: _all_cancelled(record if _progress(record) > _progress(other) else other, record, other)


def _progress(record: RunRecord) -> tuple[bool, bool, float, bool]:
    sent = record.delivery is not Delivery.SENDING
    return record.ended, record.started_at is not None, record.delivered_at or 0.0, sent


def caught_up(local: RunRecord) -> Change:
    """What was seen while the store could not be told; an end and a hold that others have put there meanwhile stay."""

    def catch_up(record: RunRecord) -> RunRecord:
        if record.ended:
            if not local.ended:
                return record
            return replace(
                record,
                delivery=local.delivery,
                delivered_at=local.delivered_at,
                holder=local.holder,
                held_until=local.held_until,
            )
        return local if local.ended else replace(local, holder=record.holder, held_until=record.held_until)

    return lambda record: _all_cancelled(catch_up(record), record, local)


def _all_cancelled(kept: RunRecord, one: RunRecord, other: RunRecord) -> RunRecord:
    """What was cancelled stays so, whoever was told of it."""
    if one.cancelled == other.cancelled:
        return kept
    return replace(kept, cancelled=tuple(sorted({*one.cancelled, *other.cancelled}))[-_MOST_CANCELLED:])

"""What is known of runs, in the words of those who start them and wait for them; kept in a `RunStore`.

A run is held by the process that sends its start or asks Contit about it. A hold ends by itself when its
process dies, and then any other process takes over.
"""

import secrets
from dataclasses import replace

import anyio

from contit_mcp.runs import changes
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.record import Delivery, Failure, Question, RunRecord, intent_to_start
from contit_mcp.runs.store import RunStore

HOLD_SECONDS = 10.0
"""How long a process may be silent before another one takes its runs over. A fraction of what hosts wait, and more
than the age at which a hold is renewed and the longest pause between two polls together (4 + 5.5 s). Where Contit's 429
stretches the pauses beyond it, another process may go on asking in this one's place."""

START_SECONDS = 25.0
"""How long an intent stands: longer than its start can take once it is being sent (20 s)."""

RENEW_SECONDS = 4.0
"""How old a hold is when it is renewed."""


class RunLedger:
    """One process's view of the runs in a store. `now` is in seconds since the epoch.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._holder = secrets.token_hex(8)

    async def claim(self, question: Question, *, delivery: Delivery = Delivery.AWAITED, now: float) -> Claim:
        """Store the intent to start, or return the run that stands in its way (`claims.existing_run`).

        `delivery` says whether the caller waits for the answer of the run that it may start, or takes its ids.
        """
        until = now + START_SECONDS
        intent = intent_to_start(question, delivery=delivery, holder=self._holder, held_until=until, now=now)
        return await self._store.claim(intent, now=now)

    def may_send(self, intent: RunRecord, *, now: float) -> bool:
        """Whether the intent stands for as long as sending its start may take; else release it and claim anew."""
        return intent.held_until is not None and now + START_SECONDS - RENEW_SECONDS <= intent.held_until

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that came to nothing. A run whose ids are stored stays."""
        await self._store.release(intent)

    async def started(self, intent: RunRecord, thread_id: str, run_id: str, *, now: float) -> RunRecord:
        """Store the ids of a run that was started. Nobody is at it any more unless its answer is awaited."""
        awaited = intent.delivery is Delivery.AWAITED
        release = (
            changes.held(self._holder, until=now + HOLD_SECONDS, now=now) if awaited else changes.let_go(self._holder)
        )
        start = changes.started(thread_id, run_id, now=now)
        return await self._store.change(intent, lambda record: release(start(record)), now=now)

    async def awaited(self, run: RunRecord, *, now: float) -> RunRecord:
        """Note that a caller waits for the answer of a run whose ids had only been handed over."""
        return await self._store.change(run, changes.awaited, now=now)

    async def completed(self, run: RunRecord, answer: str, *, now: float) -> RunRecord:
        """Store the end of a run and its answer. The first end stays; what is stored is returned."""
        return await self._store.change(run, changes.completed(answer, now=now), now=now)

    async def failed(self, run: RunRecord, failure: Failure, *, now: float) -> RunRecord:
        """Store the end of a run that has no answer. The first end stays; what is stored is returned."""
        return await self._store.change(run, changes.failed(failure, now=now), now=now)

    async def handed_over(self, run: RunRecord, *, now: float) -> None:
        """Note that the ids of a run have reached a caller who does not wait for its answer."""
        await self._store.change(run, changes.handed_over, now=now)

    async def sending(self, run: RunRecord, *, now: float) -> None:
        """Note that this process is sending the answer to a caller; `delivered` is to follow."""
        change = changes.sending(self._holder, until=now + HOLD_SECONDS, now=now)
        await self._store.change(run, change, now=now)

    async def delivered(self, run: RunRecord, delivery: Delivery, *, now: float) -> None:
        """Note that a caller was sent the answer."""
        await self._store.change(run, changes.delivered(delivery, now=now), now=now)

    async def adopted(self, run: RunRecord, *, now: float) -> RunRecord:
        """Remember an ended run of which nothing was known but its ids and when it was asked."""
        return await self._store.change(replace(run, started_at=run.asked_at), changes.unchanged, now=now)

    async def cancelled(self, run: RunRecord, ask: int, *, now: float) -> None:
        """Note that the caller of one ask, named by its time in milliseconds, has taken it back."""
        await self._store.change(run, changes.cancelled(ask), now=now)

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids."""
        return await self._store.find(owner, thread_id, run_id, now=now)

    async def refreshed(self, run: RunRecord, *, now: float) -> RunRecord:
        """The run as the store has it by now: other processes may have seen its end, hold it, or note something."""
        return run if run.ended else await self._store.change(run, changes.unchanged, now=now)

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        return await self._store.latest(owner, thread_id, now=now)

    async def hold(self, run: RunRecord, *, now: float) -> RunRecord:
        """Be the one who asks about the run, unless another process is (see `holds`) or it has ended."""
        if self.holds(run) and run.held_until is not None and run.held_until - now > HOLD_SECONDS - RENEW_SECONDS:
            return run
        change = changes.held(self._holder, until=now + HOLD_SECONDS, now=now)
        return await self._store.change(run, change, now=now)

    def holds(self, run: RunRecord) -> bool:
        """Whether this process is the one who asks about the run."""
        return run.holder == self._holder

    async def let_go(self, run: RunRecord, *, now: float) -> None:
        """Leave the run to whoever asks about it next. It is stored even if the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            await self._store.change(run, changes.let_go(self._holder), now=now)

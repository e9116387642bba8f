"""A circuit breaker: while a store cannot be used, runs are kept in memory. No ask fails because of a store.

Memory has a copy of each run that this process uses. So in an outage this process starts no second run on a thread, and
the ids of its runs keep working in it. A run that changed in the outage is stored at its next change, or when its
question is asked again. Until then other replicas do not know of the change, and may start the same question again.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import anyio

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Claim, Granted, existing_run, key_slot, slot_of
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase, RunRecord
from contit_mcp.runs.store import RunStore, Transition
from contit_mcp.telemetry.call_stats import NULL_LISTENER, Listener, current_call_stats
from contit_mcp.telemetry.logging import get_logger

T = TypeVar("T")
log = get_logger(__name__)

OPERATION_SECONDS = 2.0  # what one operation may take; a healthy store takes milliseconds
PAUSE_SECONDS = 3.0  # how long a store that failed is not used: a try may cost its caller two seconds
SLOW_SECONDS = 0.25  # from this duration on, an operation is slow
# A store counts as slow after this many slow operations in a row over at least this time, and likewise as fast again.
# The time is required because a pause of this process makes several operations slow at one moment.
SPEED_ROW, SPEED_SECONDS = 5, 1.0
_AT_ONCE = 30  # operations of the store at a time; the wait of further ones does not count as the store's


class FallbackRunStore(RunStore):
    """A `RunStore` that never fails: it uses `store`, and `memory` while that fails. They have the same clock."""

    def __init__(self, store: RunStore, memory: MemoryRunStore, *, listener: Listener = NULL_LISTENER) -> None:
        super().__init__(None, store.now)
        self._store = store
        self._memory = memory
        self._listener = listener
        self._usable = True
        self._retry_at = -math.inf  # on the event loop's clock
        self._slow = False
        self._other_speed = 0  # operations in a row that were fast while `_slow`, or slow while not
        self._other_since = 0.0
        self._turns = anyio.Semaphore(_AT_ONCE, fast_acquire=True)  # no checkpoint: the operation has one

    async def claim(self, intent: RunRecord) -> Claim:
        """Keep the intent, or return the run that prevents the start."""
        try:
            known = self._memory.newest(slot_of(intent.question))
            if known is not None and existing_run(intent.question, known, now=self.now()):
                await self._change_in_store(known, lambda run, _: run)  # the store may have lost it, or know its end
            claim = await self._use("claim", lambda: self._store.claim(intent))
        except StoreError:
            return await self._memory.claim(intent)
        if isinstance(claim, Granted):
            here = await self._memory.claim(claim.record)  # memory may know of a start that died in an outage
            if not isinstance(here, Granted) and not here.record.ended:  # granted by memory while the store came back
                await self.release(claim.record)
                return here
            self._memory.keep(claim.record)
            return replace(claim, interrupted=claim.interrupted or here.interrupted)
        self._copy(claim.record)
        return claim

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        """Apply the transition to what is kept of a run, and return the result."""
        try:
            return await self._change_in_store(record, transition)
        except StoreError:
            return await self._memory.change(record, transition)

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that was not started. While the store cannot be used, the intent's lease there expires."""
        await self._memory.release(intent)
        await self._use_if_possible("release", lambda: self._store.release(intent))

    async def find(self, owner: str, thread_id: str, run_id: str | None = None) -> RunRecord | None:
        """Return the run with these ids, or the newest one on the thread whose ids are known."""
        here = await self._memory.find(owner, thread_id, run_id)
        if run_id is not None and here is not None and (here.answer is not None or here.failure is not None):
            return here  # the end of a run does not change
        there = await self._use_if_possible("find", lambda: self._store.find(owner, thread_id, run_id))
        known = [run for run in (there and self._copy(there), here) if run is not None]
        return max(known, key=lambda run: run.asked_at, default=None)

    async def last_seen(self, owner: str, thread_id: str, run_id: str) -> RunRecord | None:
        """Return the run with these ids; one in flight may be in the state that this process saw last."""
        here = await self._memory.find(owner, thread_id, run_id)
        return here if here is not None and not here.ended else await self.find(owner, thread_id, run_id)

    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, without answers."""
        runs = {run.key: run for run in await self._memory.recent(owner, limit)}
        for run in await self._use_if_possible("recent", lambda: self._store.recent(owner, limit)) or []:
            runs[run.key] = _later(run, runs.get(run.key))
        return sorted(runs.values(), key=lambda run: run.asked_at, reverse=True)[: max(0, limit)]

    async def aclose(self) -> None:
        """Close files and connections, in at most a second."""
        try:
            with anyio.fail_after(1.0):
                await self._store.aclose()
        except (StoreError, TimeoutError) as exc:
            log.warning("store.not_closed", reason=type(exc).__name__)

    async def _change_in_store(self, record: RunRecord, transition: Transition) -> RunRecord:
        """Apply the transition to the later of the store's and memory's states: the store may have missed changes."""
        here = self._memory.newest(key_slot(record))
        after = await self._use(
            "change", lambda: self._store.change(here or record, lambda run, now: transition(_later(run, here), now))
        )
        return self._copy(after)

    def _copy(self, record: RunRecord) -> RunRecord:
        """Return the later of the store's state and memory's, since reads can arrive late; keep it in memory.

        Intents of other processes are not kept: this process would not see their release.
        """
        here = self._memory.newest(key_slot(record))
        record = _later(record, here)
        if record.tracked and (here is not None or record.phase is not Phase.STARTING):
            self._memory.keep(record)
        return record

    async def _use_if_possible(self, name: str, operation: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await self._use(name, operation)
        except StoreError:
            return None

    async def _use(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Use the store. Raises StoreError if it cannot be used."""
        self._refuse_in_pause()
        async with self._turns:
            self._refuse_in_pause()  # the store may have failed while this operation waited
            is_trial, began = not self._usable, anyio.current_time()
            if is_trial:
                self._retry_at = began + PAUSE_SECONDS  # only one operation at a time is a trial
            try:
                with self._listener.store_use(name), anyio.fail_after(OPERATION_SECONDS):
                    result = await operation()
            except (StoreError, TimeoutError) as exc:
                too_slow = StoreError("The run store is too slow.", hint="Check its disk or its server.")
                self._failed(error := exc if isinstance(exc, StoreError) else too_slow)
                raise error from None  # memory is used instead
        seconds = anyio.current_time() - began
        self._note_speed(seconds)
        if is_trial:
            self._retry_at = -math.inf
        # Only a fast trial ends the outage: a slow store would soon fail again, and each outage logs two lines.
        if is_trial and not self._usable and seconds < SLOW_SECONDS:
            self._usable = True
            log.warning("store.back")
            self._listener.store_usable(usable=True)
        return result

    def _refuse_in_pause(self) -> None:
        if anyio.current_time() < self._retry_at:
            raise StoreError("The run store could not be used a moment ago.", hint="It is tried again within seconds.")

    def _failed(self, error: StoreError) -> None:
        self._retry_at = anyio.current_time() + PAUSE_SECONDS
        current_call_stats().count("store_error")
        if self._usable:
            self._usable = False
            log.warning("store.unusable", problem=error.message, hint=error.hint, meanwhile="memory")
            self._listener.store_usable(usable=False)

    def _note_speed(self, seconds: float) -> None:
        slow, now = seconds >= SLOW_SECONDS, anyio.current_time()
        if slow == self._slow:
            self._other_speed = 0
            return
        self._other_since = self._other_since if self._other_speed else now
        self._other_speed += 1
        if self._other_speed >= SPEED_ROW and now - self._other_since >= SPEED_SECONDS:
            self._slow, self._other_speed = slow, 0
            log.warning("store.slow" if slow else "store.fast", seconds=round(seconds, 3))
            self._listener.store_slow(slow=slow)


def _later(stored: RunRecord, here: RunRecord | None) -> RunRecord:
    """Return the later state, since an end or ids are never lost. If neither is later, return the stored one."""
    return max(stored, here or stored, key=lambda run: (run.ended, run.run_id is not None))

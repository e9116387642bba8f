"""A circuit breaker: while a store cannot be used, runs are kept in memory. No ask fails because of a store.

What holds meanwhile: this process still starts no question twice and no second run on a thread, for all runs that it
has used before; the ids of its runs keep working in it. Other replicas may start the same question again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import anyio

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Claim, Granted, existing_run
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Phase, RunRecord
from contit_mcp.runs.store import NULL_STORE_LISTENER, RunStore, StoreListener, Transition
from contit_mcp.telemetry.call_stats import current_call_stats
from contit_mcp.telemetry.logging import get_logger

T = TypeVar("T")
log = get_logger(__name__)

OPERATION_SECONDS = 2.0
"""What one operation may take; a healthy store takes milliseconds."""

_TICKS = 20

PAUSE_SECONDS = 5.0
"""How long a store that was too slow is left alone: each try costs its caller two seconds."""

QUICK_PAUSE_SECONDS = 1.0
"""How long a store that failed at once is left alone. A server that restarts is back soon."""

SLOW_SECONDS = 0.25
"""What makes an operation slow: two of them in an ask are felt by its caller."""

SPEED_ROW, SPEED_SECONDS = 5, 1.0
"""How many operations in a row, for how long, must have the other speed before a store counts as slow, or as fast
again. A pause of this process makes several operations slow at one moment."""

_CLOSE_SECONDS = 1.0
_MOST_UNWRITTEN = 10_000
_AT_ONCE = 30
"""Operations that a store works on at once. Further ones wait, and their wait is not the store's fault."""


class FallbackRunStore:
    """A `RunStore` that never fails.

    Memory has a copy of what this process uses. While the store cannot be used, the copy decides. Runs that changed
    meanwhile are written to the store when it is back, one with each operation.

    Args:
        store: The one that may fail.
        memory: The fallback, with the same clock.
        listener: Receives each operation, and each change between usable and unusable, fast and slow.
    """

    def __init__(
        self, store: RunStore, memory: MemoryRunStore, *, listener: StoreListener = NULL_STORE_LISTENER
    ) -> None:
        self._store = store
        self._memory = memory
        self._listener = listener
        self._unwritten: dict[str, None] = {}  # keys whose state only memory has, in the order of changing
        self._usable = True
        self._failure_told = False
        self._failed_at = -math.inf  # on the event loop's clock, as `_retry_at`
        self._slow = False
        self._other_speed = 0  # operations in a row that were not as `_slow` says
        self._other_since = 0.0
        self._retry_at = -math.inf
        self._turns = anyio.Semaphore(_AT_ONCE, fast_acquire=True)  # the operation yields anyway

    def now(self) -> float:
        """Return the time."""
        return self._store.now()

    async def claim(self, intent: RunRecord) -> Claim:
        """Keep the intent to start, or return the run that keeps it from starting."""
        latest = self._memory.latest_before(intent.question)
        if latest is None or latest.key not in self._unwritten:
            try:
                return await self._claim_in_store(intent)
            except StoreError:
                pass
        claim = await self._memory.claim(intent)
        if isinstance(claim, Granted):
            self._mark_unwritten(intent.key)
        return claim

    async def _claim_in_store(self, intent: RunRecord) -> Claim:
        claim = await self._use("claim", lambda: self._store.claim(intent))
        known = self._memory.latest_before(intent.question)
        if isinstance(claim, Granted) and known is not None and existing_run(intent.question, known, now=self.now()):
            # The store has lost the run that memory has, or has a newer state of it. With the run stored, it decides.
            await self._use("release", lambda: self._store.release(intent))
            self._copy(await self._use("change", lambda: self._store.change(known, lambda run, _: run)))
            interrupted = claim.interrupted  # the first claim has replaced the start that was cut off
            claim = await self._use("claim", lambda: self._store.claim(intent))
            if isinstance(claim, Granted):
                claim = replace(claim, interrupted=claim.interrupted or interrupted)
        if isinstance(claim, Granted):
            self._memory.keep(claim.record)
        else:
            self._copy(claim.record)
        return claim

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        """Apply the transition to what is kept of a run, and return the result."""
        if record.key not in self._unwritten:
            try:
                after = await self._use("change", lambda: self._store.change(record, transition))
            except StoreError:
                pass
            else:
                self._copy(after)
                return after
        after = await self._memory.change(record, transition)
        if after.tracked:
            self._mark_unwritten(after.key)
        return after

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that was not started."""
        await self._memory.release(intent)
        self._unwritten.pop(intent.key, None)
        try:
            await self._use("release", lambda: self._store.release(intent))
        except StoreError:
            return  # its lease ends in the store by itself

    async def find(self, owner: str, thread_id: str, run_id: str) -> RunRecord | None:
        """Return the run with these ids."""
        here = await self._memory.find(owner, thread_id, run_id)
        if here is not None and (here.key in self._unwritten or here.answer is not None or here.failure is not None):
            return here  # an end does not change
        try:
            there = await self._use("find", lambda: self._store.find(owner, thread_id, run_id))
        except StoreError:
            return here
        if there is not None:
            self._copy(there)
        return there

    async def latest(self, owner: str, thread_id: str) -> RunRecord | None:
        """Return the newest run on a thread whose ids are known."""
        here = await self._memory.latest(owner, thread_id)
        try:
            there = await self._use("latest", lambda: self._store.latest(owner, thread_id))
        except StoreError:
            return here
        if there is None or (here is not None and here.key != there.key and here.asked_at > there.asked_at):
            return here
        self._copy(there)
        return there

    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, without answers."""
        here = await self._memory.recent(owner, limit)
        try:
            there = await self._use("recent", lambda: self._store.recent(owner, limit))
        except StoreError:
            return here
        runs = {run.key: run for run in there} | {run.key: run for run in here if run.key in self._unwritten}
        return sorted(runs.values(), key=lambda run: run.asked_at, reverse=True)[: max(0, limit)]

    async def aclose(self) -> None:
        """Write what only memory has, and close files and connections; each for a second at most."""
        with anyio.move_on_after(_CLOSE_SECONDS):
            for _ in range(len(self._unwritten) if self._usable else 0):
                await self._write_one()
        try:
            with anyio.fail_after(_CLOSE_SECONDS):
                await self._store.aclose()
        except (StoreError, TimeoutError) as exc:
            log.warning("store.not_closed", reason=type(exc).__name__)

    def _copy(self, record: RunRecord) -> None:
        """Keep in memory what the store has, unless memory is ahead of it: readings can arrive late.

        Intents of other processes are left out: nothing here would see their release.
        """
        here = self._memory.get(record.key)
        is_news = record.phase is not Phase.STARTING if here is None else _progress(record) >= _progress(here)
        if record.tracked and is_news:
            self._memory.keep(record)

    def _mark_unwritten(self, key: str) -> None:
        self._unwritten[key] = None
        if len(self._unwritten) > _MOST_UNWRITTEN:
            del self._unwritten[next(iter(self._unwritten))]

    async def _use(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Use the store, if it can be used.

        Raises:
            StoreError: It cannot.
        """
        self._check_open()
        async with self._turns:
            self._check_open()  # it may have failed while this one waited
            if not self._usable:
                self._retry_at = anyio.current_time() + PAUSE_SECONDS  # one operation at a time tries
            began = anyio.current_time()
            result = await self._timed(name, operation)
        if not self._usable and began >= self._failed_at:  # one that began before the failure says nothing
            self._usable = True
            self._retry_at = -math.inf
        # A slow store fails again and again: it is told as back when it is fast, so that each change is told once.
        if self._usable and self._failure_told and anyio.current_time() - began < SLOW_SECONDS:
            self._failure_told = False
            log.warning("store.back")
            self._listener.usable(usable=True)
        if self._unwritten:
            await self._write_one()
        return result

    def _check_open(self) -> None:
        if anyio.current_time() < self._retry_at:
            raise StoreError("The run store could not be used a moment ago.", hint="It is tried again within seconds.")

    async def _timed(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        began, use = anyio.current_time(), object()
        error: StoreError | None = None
        self._listener.began(use)
        try:
            result = await _in_time(operation)
        except StoreError as exc:
            error = exc
            raise
        except TimeoutError as exc:
            error = StoreError("The run store is too slow.", hint="Look at its disk or its server.")
            raise error from exc
        else:
            self._note_speed(anyio.current_time() - began)
            return result
        finally:
            seconds = anyio.current_time() - began
            self._listener.operation(use, name, seconds, error)
            if error is not None:
                self._failed(error, QUICK_PAUSE_SECONDS if seconds < QUICK_PAUSE_SECONDS else PAUSE_SECONDS)

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
            self._listener.slow(slow=slow)

    async def _write_one(self) -> None:
        """Write the run to the store that has been unwritten for longest. Ends that others have stored stay."""
        key = next(iter(self._unwritten))
        del self._unwritten[key]
        here = self._memory.get(key)
        if here is None or (here.phase is Phase.STARTING and not here.leased(self.now())):
            return
        self._unwritten[key] = None  # at the end: other operations write other runs meanwhile
        if here.phase is Phase.STARTING:
            return  # its ids are still to come
        try:
            there = await self._timed(
                "change", lambda: self._store.change(here, lambda stored, _: _merged(stored, here))
            )
        except StoreError:
            return
        if self._memory.get(key) is here:  # otherwise it has changed again meanwhile
            self._unwritten.pop(key, None)
            self._copy(there)

    def _failed(self, error: StoreError, pause: float) -> None:
        self._failed_at = anyio.current_time()
        self._retry_at = self._failed_at + pause
        current_call_stats().count("store_error")
        self._usable = False
        if not self._failure_told:
            self._failure_told = True
            log.warning("store.unusable", problem=error.message, hint=error.hint, meanwhile="memory")
            self._listener.usable(usable=False)


async def _in_time(operation: Callable[[], Awaitable[T]]) -> T:
    """Return the operation's result.

    The time is counted in ticks of the event loop. A process that is late itself, because it gets too little processor,
    gives the store more time: each tick comes late too.

    Raises:
        TimeoutError: It took too long.
    """
    loop, left = asyncio.get_running_loop(), _TICKS
    timer: asyncio.TimerHandle

    def tick() -> None:
        nonlocal left, timer
        left -= 1
        if left > 0:
            timer = loop.call_later(OPERATION_SECONDS / _TICKS, tick)
        else:
            scope.cancel()

    with anyio.CancelScope() as scope:
        timer = loop.call_later(OPERATION_SECONDS / _TICKS, tick)
        try:
            return await operation()
        finally:
            timer.cancel()
    raise TimeoutError


def _progress(record: RunRecord) -> tuple[bool, bool]:
    return record.ended, record.run_id is not None


def _merged(stored: RunRecord, here: RunRecord) -> RunRecord:
    """Return what the store keeps: a stored end stays; its delivery is taken from memory."""
    if not stored.ended:
        return here
    return replace(stored, delivery=here.delivery, replay_until=here.replay_until) if here.ended else stored

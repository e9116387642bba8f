"""A store that may fail, and one in memory that goes on in its place: no ask fails because of a store."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from contit_mcp.errors import StoreError
from contit_mcp.runs import changes
from contit_mcp.runs.claims import Claim, Granted
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.patience import Patience, Stopwatch
from contit_mcp.runs.record import RunRecord
from contit_mcp.runs.store import Change, RunStore, StoreGoneError
from contit_mcp.telemetry.call_stats import current_tally
from contit_mcp.telemetry.logging import get_logger

T = TypeVar("T")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ResiliencePolicy:
    """How much a store may cost. Seconds.

    Attributes:
        patience: For one operation; a healthy store takes milliseconds.
        restart: For a store that was there a moment ago to be there again. What memory alone knows is unknown to the
            other replicas, so each of them would start the same question.
        between: Two tries meanwhile.
        pause: Without asking it again, after it could not be used.
    """

    patience: float = 2.0
    restart: float = 5.0
    between: float = 0.1
    pause: float = 5.0


class ResilientRunStore:
    """A `RunStore` that never fails.

    Whatever goes through it is also kept in memory. While the store cannot be used, memory alone decides, for
    this process's runs; when it is back, it is told what it missed. So a store that comes back empty has lost
    nothing that this process knows.

    Args:
        store: The one that may fail.
        spare: The one in memory.
        policy: How much the store may cost.
        at_once: Operations that the store works on side by side; those beyond wait, at nobody's patience.
        closing: Whether this process is leaving. Then no restart is waited for: callers would lose their handles.
    """

    def __init__(
        self,
        store: RunStore,
        spare: MemoryRunStore,
        *,
        policy: ResiliencePolicy | None = None,
        at_once: int = 40,
        closing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._spare = spare
        self._policy = policy or ResiliencePolicy()
        self._patience = Patience(self._policy.patience)
        self._usable = True
        self._resume_at = -math.inf
        self._missed: dict[str, None] = {}  # in the order of missing
        self._at_once = at_once
        self._closing = closing
        self._turns: anyio.Semaphore | None = None

    async def claim(self, intent: RunRecord, *, now: float) -> Claim:
        """Keep the intent to start, or return the run that stands in its way."""
        try:
            return await self._claim(intent, now)
        except StoreError:
            claim = await self._spare.claim(intent, now=now)
            if isinstance(claim, Granted):
                self._missed[intent.key] = None
            return claim

    async def change(self, record: RunRecord, change: Change, *, now: float) -> RunRecord:
        """Change what is kept of a run, and return it as it is then."""
        known = self._spare.get(record.key) or record
        try:
            after = await self._ask(lambda: self._store.change(known, change, now=now), now)
        except StoreError:
            after = await self._spare.change(record, change, now=now)
            if after.remembered:
                self._missed[after.key] = None
            return after
        await self._mirror(after, now)
        return after

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that came to nothing."""
        await self._spare.release(intent)
        self._missed.pop(intent.key, None)
        try:
            await self._ask(lambda: self._store.release(intent), intent.asked_at)
        except StoreError:
            return  # there it ends by itself, since nobody renews it

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids.

        One that memory knows is not looked for in the store: whoever waits for its end holds it, and so meets what
        the store knows of it.
        """
        here = await self._spare.find(owner, thread_id, run_id, now=now)
        if here is not None:
            return here
        try:
            there = await self._ask(lambda: self._store.find(owner, thread_id, run_id, now=now), now)
        except StoreError:
            return None
        if there is not None:
            await self._mirror(there, now)
        return there

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        here = await self._spare.latest(owner, thread_id, now=now)
        try:
            there = await self._ask(lambda: self._store.latest(owner, thread_id, now=now), now)
        except StoreError:
            return here
        if there is None or (here is not None and here.key != there.key and here.asked_at > there.asked_at):
            return here
        await self._mirror(there, now)
        return there

    async def aclose(self) -> None:
        """Let go of files and connections."""
        try:
            with anyio.fail_after(self._policy.patience):
                if self._missed:
                    await self._catch_up(time.time())  # the next process is to know it
        except (StoreError, TimeoutError) as exc:
            log.debug("store.not_told", runs=len(self._missed), reason=type(exc).__name__)
        try:
            with anyio.fail_after(self._policy.patience):
                await self._store.aclose()
        except (StoreError, TimeoutError) as exc:
            log.warning("store.not_closed", reason=type(exc).__name__)

    async def _mirror(self, record: RunRecord, now: float) -> None:
        if record.remembered:
            await self._spare.change(record, changes.seen(record), now=now)

    async def _claim(self, intent: RunRecord, now: float) -> Claim:
        claim = await self._claim_there(intent, now)
        if not isinstance(claim, Granted):
            return claim
        here = await self._spare.claim(claim.record, now=now)
        if isinstance(here, Granted):
            return Granted(claim.record, claim.interrupted or here.interrupted)
        # The store has lost the run that memory knows, or has seen its end: once it is told of it, it decides.
        known = here.record
        await self._mirror(await self._ask(lambda: self._store.change(known, changes.unchanged, now=now), now), now)
        await self._ask(lambda: self._store.release(intent), now)
        again = await self._claim_there(intent, now)
        if not isinstance(again, Granted):
            return again
        await self._mirror(again.record, now)
        return Granted(again.record, claim.interrupted or again.interrupted)

    async def _claim_there(self, intent: RunRecord, now: float) -> Claim:
        claim = await self._ask(lambda: self._store.claim(intent, now=now), now)
        # Another's intent is not mirrored: it may be given back, and nobody would tell us.
        if not isinstance(claim, Granted) and claim.record.started_at is not None:
            await self._mirror(claim.record, now)
        return claim

    async def _ask(self, operation: Callable[[], Awaitable[T]], now: float) -> T:
        """Use the store, if it can be used.

        Raises:
            StoreError: It cannot.
        """
        if self._turns is None:
            self._turns = anyio.Semaphore(self._at_once, fast_acquire=True)  # what follows yields anyway
        if anyio.current_time() < self._resume_at:
            raise _Paused
        async with self._turns:
            if anyio.current_time() < self._resume_at:  # it failed while this one waited
                raise _Paused
            return await self._use(operation, now)

    async def _use(self, operation: Callable[[], Awaitable[T]], now: float) -> T:
        async def use() -> T:
            if self._missed:
                self._resume_at = anyio.current_time() + self._policy.pause  # one at a time tries
                await self._catch_up(now)
            return await operation()

        watch: Stopwatch | None = None
        while True:
            try:
                result = await self._patience.wait_for(use)
                break
            except (StoreError, TimeoutError) as exc:
                watch = watch or Stopwatch()
                error = exc if isinstance(exc, StoreError) else _TooSlow()
                # A restart is waited for once, not at each new try.
                patient = self._usable and not self._closing() and watch.idle_seconds < self._policy.restart
                if not (isinstance(error, StoreGoneError) and patient):
                    self._failed(error)
                    raise error from exc
            await anyio.sleep(self._policy.between)
        self._resume_at = -math.inf
        if not self._usable:
            self._usable = True
            log.info("store.back")
        return result

    async def _catch_up(self, now: float) -> None:
        """Tell the store what it missed."""
        while self._missed:
            key = next(iter(self._missed))
            local = self._spare.get(key)
            if local is not None:
                there = await self._store.change(local, changes.caught_up(local), now=now)
                if self._spare.get(key) != local:
                    continue  # more has happened to it meanwhile
                await self._mirror(there, now)
            self._missed.pop(key, None)

    def _failed(self, error: StoreError) -> None:
        self._resume_at = anyio.current_time() + self._policy.pause
        current_tally().store_errors += 1
        if self._usable:
            self._usable = False
            log.warning("store.unusable", reason=error.message, hint=error.hint, meanwhile="memory")


class _TooSlow(StoreError):  # noqa: N818 - see its base
    def __init__(self) -> None:
        super().__init__("The run store is too slow.", hint="Look at its disk or its server.")


class _Paused(StoreError):  # noqa: N818 - see its base
    def __init__(self) -> None:
        super().__init__("The run store could not be used a moment ago.", hint="It is tried again within seconds.")

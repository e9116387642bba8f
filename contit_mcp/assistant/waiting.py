"""Waits for runs to end: one poller a run, however many callers wait. The answer is bound to its run at completion.

The caller that holds the run's lock polls for everyone in this process; when it leaves, the next in line goes on. So no
task outlives its caller, and a run without waiting callers is not polled. Between processes the run's lease decides
which one polls; the others read the end from the store.
"""

import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import anyio

from contit_mcp.assistant.reports import NULL_LISTENER, RunListener
from contit_mcp.assistant.schedule import NoEndSeen, PollPolicy, poll_until_ended
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.wire import RunPhase, RunStatus
from contit_mcp.errors import AnswerUnreadableError, APIResponseValidationError, NotFoundError
from contit_mcp.runs.claims import POLL_LEASE_SECONDS, RENEW_SECONDS
from contit_mcp.runs.record import Failure, RunRecord
from contit_mcp.runs.store import RunStore
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

LAG_SECONDS = 5.0
"""How young a run is when a 404 about it may be replication lag (docs/contit-api.md)."""

POLL_SECONDS = 8.0
"""How long one poll may take, retries included, also if the caller wants no wait at all."""

CLOCK_SKEW_SECONDS = 10_800.0
"""How far the clocks of two processes may differ before one gives up the other's run too early."""

_MOST_CLOCKS = 10_000
"""Runs whose times this process remembers; the oldest are forgotten first."""


@dataclass(slots=True, weakref_slot=True)
class _Watch:
    """What the callers that wait for one run share."""

    turn: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))  # what follows yields anyway
    ended: RunRecord | None = None
    unreadable: bool = False
    listeners: set[Callable[[str], None]] = field(default_factory=set)

    def tell(self, word: str) -> None:
        for listener in tuple(self.listeners):
            listener(word)


@dataclass(slots=True)
class _Clock:
    """Times of one run on the event loop's clock, which no one sets.

    Attributes:
        first_seen: When this process started the run, or first saw it going.
        started_here: Whether this process started it.
        poll_again_at: When a snapshot may poll.
    """

    first_seen: float
    started_here: bool = False
    poll_again_at: float = 0.0


class RunWaiter:
    """Waits for started runs to end.

    Args:
        client: Contit.
        store: Where ends and answers are kept.
        process: The name of this process in leases.
        policy: How to poll.
        listener: Receives each end.
    """

    def __init__(
        self,
        client: ContitClient,
        store: RunStore,
        *,
        process: str,
        policy: PollPolicy | None = None,
        listener: RunListener = NULL_LISTENER,
    ) -> None:
        self._client = client
        self._store = store
        self._process = process
        self._policy = policy or PollPolicy()
        self._listener = listener
        self._watches: WeakValueDictionary[str, _Watch] = WeakValueDictionary()
        self._clocks: OrderedDict[str, _Clock] = OrderedDict()

    @property
    def run_limit(self) -> float:
        """Seconds after which a run without an end is given up."""
        return self._policy.run_seconds

    def started_here(self, record: RunRecord) -> None:
        """Measure the run's age from now on, because this process has just started it."""
        self._clock(record).started_here = True

    def age(self, record: RunRecord) -> float:
        """Return the seconds since the run was started, or since it was asked if nothing else is known.

        The process that started the run measures them; others rely on the wall clock.
        """
        clock = self._clocks.get(record.key)
        if clock is not None and clock.started_here:
            return anyio.current_time() - clock.first_seen
        return max(0.0, self._store.now() - (record.asked_at if record.started_at is None else record.started_at))

    async def until_ended(self, record: RunRecord, on_status: Callable[[str], None]) -> RunRecord:
        """Wait until a started run has ended, and return it with its answer or its failure.

        Raises:
            AnswerUnreadableError: It has completed, and its answer cannot be read.
            APIError: Contit could not be asked about it.
        """
        watch = self._watches.setdefault(record.key, _Watch())
        watch.listeners.add(on_status)
        try:
            async with watch.turn:
                if watch.ended is None:
                    self._listener.runs_waited_for(1)
                    try:
                        watch.ended = await self._wait(record, watch)
                    finally:
                        self._listener.runs_waited_for(-1)
                return watch.ended
        except BaseException:
            if not watch.turn.locked():  # otherwise another caller here goes on
                await self.release(record)
            raise
        finally:
            watch.listeners.discard(on_status)

    async def poll_once(self, record: RunRecord, *, deadline: float | None = None) -> RunRecord:
        """Ask Contit once where a run stands, and return it as it is then.

        Args:
            record: The run.
            deadline: On the event loop's clock; no retry begins after it.

        Raises:
            AnswerUnreadableError: It has completed, and its answer cannot be read.
            APIError: Contit could not be asked about it.
        """
        watch = self._watches.setdefault(record.key, _Watch())
        if watch.turn.locked() and watch.ended is None:
            return record  # a caller here polls all the time
        async with watch.turn:
            if watch.ended is None:
                try:
                    status = await self._status(record, deadline)
                except NotFoundError:
                    watch.ended = await self.end(record, failure=Failure.NOT_FOUND)
                    return watch.ended
                if status.phase is RunPhase.IN_PROGRESS and not self._is_too_old(record):
                    return record
                watch.ended = await self._conclude(record, status.phase)
            return watch.ended

    def is_due(self, record: RunRecord) -> bool:
        """Whether no caller here polls the run, and it is old enough to have ended unseen."""
        watch = self._watches.get(record.key)
        return (watch is None or not watch.turn.locked()) and self.age(record) >= self._policy.schedule.shortest

    def may_poll_for_snapshot(self, record: RunRecord) -> bool:
        """Whether it is time to poll and nothing else does. Of several snapshots at once one may poll."""
        now, clock = anyio.current_time(), self._clock(record)
        elsewhere = record.leased(self._store.now()) and record.lease_owner != self._process
        due = not record.tracked or self.is_due(record)
        if elsewhere or not due or now < clock.poll_again_at:
            return False
        clock.poll_again_at = now + self._policy.schedule.pause(self.age(record), random.random)
        return True

    async def end(self, record: RunRecord, *, answer: str = "", failure: Failure | None = None) -> RunRecord:
        """Bind the end to the run: until this is stored, no process starts another run on the thread.

        The first end stays; the stored one is returned.
        """
        run_seconds = None if record.started_at is None else self.age(record)
        first = False

        def transition(run: RunRecord, now: float) -> RunRecord:
            nonlocal first
            first = not run.ended
            if failure is not None:
                return run.failed(failure, now=now, run_seconds=run_seconds)
            return run.completed(answer, now=now, run_seconds=run_seconds)

        ended = await self._store.change(record, transition)
        self._clocks.pop(record.key, None)
        if first and ended.tracked:
            end = "completed" if failure is None else failure.value
            self._listener.run_ended(end, ended.run_seconds)
            thread_id, run_id = ended.ids
            log.log(
                logging.INFO if failure is None else logging.WARNING,
                "run.ended",
                thread_id=thread_id,
                run_id=run_id,
                end=end,
                seconds=None if ended.run_seconds is None else round(ended.run_seconds, 3),
            )
        return ended

    async def release(self, record: RunRecord) -> None:
        """Give up the lease. It is stored even if the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            await self._store.change(record, lambda run, _: run.released_by(self._process))

    async def _wait(self, record: RunRecord, watch: _Watch) -> RunRecord:
        """Poll until the run has ended; while another process has the lease, wait for the end that it stores."""
        if watch.unreadable:
            raise AnswerUnreadableError(*record.ids)
        while True:
            record = await self._leased(record)
            if record.ended:
                return record
            if record.lease_owner == self._process:
                try:
                    return await self._poll(record, watch.tell)
                except _LeaseLost:
                    continue
                except AnswerUnreadableError:
                    watch.unreadable = True  # the callers in line need not try it one after another
                    raise
            await anyio.sleep(self._policy.schedule.pause(self.age(record), random.random))

    async def _poll(self, record: RunRecord, on_status: Callable[[str], None]) -> RunRecord:
        leased = record

        async def ask() -> RunStatus:
            nonlocal leased
            leased = await self._leased(leased)
            if leased.ended or leased.lease_owner != self._process:
                raise _LeaseLost
            return await self._status(record, anyio.current_time())

        self._listener.runs_polled(1)
        try:
            phase = await poll_until_ended(
                ask,
                age=lambda: self.age(record),
                is_too_old=lambda: self._is_too_old(record),
                policy=self._policy,
                pause_first=record.started_at is not None and self.age(record) < self._policy.schedule.shortest,
                on_status=on_status,
                backoff=self._client.backoff,
            )
        except NoEndSeen:
            phase = RunPhase.IN_PROGRESS
        except NotFoundError:
            return await self.end(record, failure=Failure.NOT_FOUND)
        finally:
            self._listener.runs_polled(-1)
        return await self._conclude(record, phase)

    async def _status(self, record: RunRecord, deadline: float | None) -> RunStatus:
        young = record.started_at is not None and self.age(record) < LAG_SECONDS
        return await self._client.run_status(*record.ids, just_started=young, deadline=deadline)

    async def _conclude(self, record: RunRecord, phase: RunPhase) -> RunRecord:
        if phase is not RunPhase.COMPLETED:
            failure = Failure.RUN_FAILED if phase is RunPhase.FAILED else Failure.NO_END_SEEN
            return await self.end(record, failure=failure)
        thread_id, run_id = record.ids
        try:
            answer = await self._client.thread_response(thread_id, just_completed=True)
        except NotFoundError:
            log.warning("run.completed_without_answer", thread_id=thread_id, run_id=run_id)
            return await self.end(record, failure=Failure.NO_ANSWER)
        except APIResponseValidationError as error:
            log.warning("run.answer_unreadable", thread_id=thread_id, run_id=run_id)
            if self._is_too_old(record):
                return await self.end(record, failure=Failure.NO_ANSWER)
            raise AnswerUnreadableError(thread_id, run_id) from error
        return await self.end(record, answer=answer)

    async def _leased(self, record: RunRecord) -> RunRecord:
        """Return the run under this process's lease, unless another process holds it or the run has ended."""
        fresh_until = self._store.now() + POLL_LEASE_SECONDS - RENEW_SECONDS
        if record.lease_owner == self._process and record.leased(fresh_until):
            return record
        return await self._store.change(
            record, lambda run, now: run.leased_to(self._process, seconds=POLL_LEASE_SECONDS, now=now)
        )

    def _is_too_old(self, record: RunRecord) -> bool:
        """Whether the run is given up. Another process's run needs stronger evidence: a clock may be wrong."""
        clock, age = self._clock(record), self.age(record)
        if clock.started_here:
            return age >= self.run_limit
        seen = anyio.current_time() - clock.first_seen
        return seen >= self.run_limit or age >= self.run_limit + CLOCK_SKEW_SECONDS

    def _clock(self, record: RunRecord) -> _Clock:
        clock = self._clocks.setdefault(record.key, _Clock(anyio.current_time()))
        if len(self._clocks) > _MOST_CLOCKS:
            self._clocks.popitem(last=False)
        return clock


class _LeaseLost(Exception):  # noqa: N818 - not an error: the wait goes on in another way
    """Another process has seen the end, or polls now."""

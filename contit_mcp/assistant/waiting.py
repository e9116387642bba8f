"""Waits for runs to end: one poller per run, however many callers wait. An answer is bound to its run at completion.

The caller that holds the run's lock polls for all callers in this process; when it leaves, the next in line continues.
So no task outlives its caller, and a run without waiting callers is not polled. Between processes the run's lease
decides which one polls; the others read the end from the store. A caller's deadline is a cancel scope around its wait.
"""

import logging
import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import anyio

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.wire import RunPhase
from contit_mcp.runs.claims import POLL_LEASE_SECONDS, RENEW_SECONDS
from contit_mcp.runs.record import Failure, RunRecord
from contit_mcp.runs.store import RunStore
from contit_mcp.telemetry.call_stats import Listener, current_call_stats
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

YOUNG_SECONDS = 5.0  # up to this age of a run, a 404 about it may be replication lag (docs/contit-api.md)
POLL_SECONDS = 8.0  # how long one poll may take, retries included, also if the caller wants no wait at all
CLOCK_SKEW_SECONDS = 10_800.0  # how far clocks may differ before a process gives up another one's run too early
_MOST_CLOCKS = 10_000  # runs whose times this process remembers; the oldest are forgotten first
_MOST_ODD_WORDS = 100  # undocumented words of Contit that are logged, each once


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How long to pause between two polls, and when a wait ends by itself. Seconds.

    A language model never answers at once: a late first poll pays for shorter pauses afterwards. A run that has lasted
    long usually lasts much longer, so pauses grow (`benchmarks/polls.py`). Jitter spreads the polls of many runs.
    """

    first: float = 1.25  # how old a run is at its first poll
    shortest: float = 0.935
    growth: float = 0.002  # this share of the run's age is added to the shortest pause
    longest: float = 5.0
    jitter: float = 0.1  # up to this share of a pause is added or subtracted
    fault_seconds: float = 60.0  # how long passing faults of Contit are tolerated since the last good response
    run_seconds: float = 1_800.0  # how long a run may show no end before it is given up (Contit documents no limit)

    def pause(self, age: float, draw: Callable[[], float]) -> float:
        """Return the seconds to pause when the run is `age` seconds old; `draw` returns a number from 0 to 1."""
        steady = max(min(self.longest, self.shortest + self.growth * age), self.first - age)
        return steady * (1 + self.jitter * (2 * draw() - 1))


@dataclass(slots=True, weakref_slot=True)
class _Watch:
    """What the callers that wait for one run share."""

    lock: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))  # no checkpoint: polls have some
    word: str | None = None
    ended: RunRecord | None = None
    unreadable: bool = False
    listeners: set[Callable[[str], None]] = field(default_factory=set)

    def note(self, word: str) -> None:
        if word == self.word:
            return
        self.word = word
        for listener in tuple(self.listeners):
            listener(word)


@dataclass(slots=True)
class _Clock:
    """Times of one run on the event loop's clock, which is monotonic."""

    first_seen: float  # when this process started the run, or first saw it in flight
    started_here: bool = False
    poll_again_at: float = 0.0  # for snapshots


class RunWaiter:
    """Waits for started runs to end. Raises an `APIError` if Contit cannot be asked, and `AnswerUnreadableError`."""

    def __init__(
        self, client: ContitClient, store: RunStore, *, process: str, policy: PollPolicy, listener: Listener
    ) -> None:
        self._client = client
        self._store = store
        self._process = process
        self._policy = policy
        self._listener = listener
        self._watches: WeakValueDictionary[str, _Watch] = WeakValueDictionary()
        self._clocks: OrderedDict[str, _Clock] = OrderedDict()
        self._odd_words: set[str] = set()

    def started_here(self, record: RunRecord) -> None:
        """Measure the run's age from now on, because this process has just started it."""
        self._clock(record).started_here = True

    def age(self, record: RunRecord) -> float:
        """Return the seconds since the run was started, or asked: measured if this process did, else by wall clock."""
        clock = self._clocks.get(record.key)
        if clock is not None and clock.started_here:
            return anyio.current_time() - clock.first_seen
        return max(0.0, self._store.now() - (record.asked_at if record.started_at is None else record.started_at))

    async def until_ended(self, record: RunRecord, on_status: Callable[[str], None]) -> RunRecord:
        """Wait until a started run has ended, and return it with its answer or its failure."""
        watch = self._watches.setdefault(record.key, _Watch())
        watch.listeners.add(on_status)
        try:
            async with watch.lock:
                if watch.ended is None:
                    with self._listener.run_in("waited for"):
                        watch.ended = await self._wait(record, watch)
                return watch.ended
        except BaseException:
            if not watch.lock.locked():  # otherwise another caller in this process continues
                await self.release(record)
            raise
        finally:
            watch.listeners.discard(on_status)

    async def poll_once(self, record: RunRecord, *, deadline: float) -> RunRecord:
        """Poll Contit once, and return the run as it is then. No retry begins after the deadline."""
        watch = self._watches.setdefault(record.key, _Watch())
        if watch.lock.locked() and watch.ended is None:
            return record  # a waiting caller of this process is polling it
        async with watch.lock:
            if watch.ended is not None:
                return watch.ended
            record = await self._polled(record, watch, deadline)
            watch.ended = record if record.ended else None
            return record

    def is_due(self, record: RunRecord) -> bool:
        """Return whether no caller in this process polls the run, and it is old enough to have ended unseen."""
        watch = self._watches.get(record.key)
        return (watch is None or not watch.lock.locked()) and self.age(record) >= self._policy.shortest

    def may_poll_for_snapshot(self, record: RunRecord) -> bool:
        """Return whether it is time to poll and nothing else does; if so, note that the caller polls now."""
        now, clock = anyio.current_time(), self._clock(record)
        elsewhere = record.leased(self._store.now()) and record.lease_owner != self._process
        due = not record.tracked or self.is_due(record)
        if elsewhere or not due or now < clock.poll_again_at:
            return False
        clock.poll_again_at = now + self._pause(record)
        return True

    async def end(self, record: RunRecord, *, answer: str | None = None, failure: Failure | None = None) -> RunRecord:
        """Store the run's end unless it has one, and return the run. Only then can another run start on its thread."""
        run_seconds = None if record.started_at is None else self.age(record)
        first = False

        def transition(run: RunRecord, now: float) -> RunRecord:
            nonlocal first
            first = not run.ended
            return run.end(now=now, run_seconds=run_seconds, answer=answer, failure=failure)

        ended = await self._store.change(record, transition)
        self._clocks.pop(record.key, None)
        if first and ended.tracked:
            end = "completed" if failure is None else failure.value
            self._listener.run_ended(end, ended.run_seconds)
            seconds = None if ended.run_seconds is None else round(ended.run_seconds, 3)
            level = logging.INFO if failure is None else logging.WARNING
            log.log(level, "run.ended", thread_id=ended.thread_id, run_id=ended.run_id, end=end, seconds=seconds)
        return ended

    async def release(self, record: RunRecord) -> None:
        """Release the lease, even if the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            await self._store.change(record, lambda run, _: run.released_by(self._process))

    async def _wait(self, record: RunRecord, watch: _Watch) -> RunRecord:
        """Poll until the run has ended; while another process has the lease, wait for the end that it stores."""
        if watch.unreadable:  # or the callers in line would try it one after another
            raise errors.AnswerUnreadableError(*record.ids)
        while True:
            record = await self._leased(record)
            if not record.ended and record.lease_owner == self._process:
                with self._listener.run_in("polled"):
                    record = await self._poll(record, watch)
            if record.ended:
                return record
            await anyio.sleep(self._pause(record))  # not `backoff.pause`: a `Retry-After` does not concern the store

    async def _poll(self, record: RunRecord, watch: _Watch) -> RunRecord:
        """Poll until the run has ended or another process has its lease."""
        good_at = anyio.current_time()
        just_started = record.started_at is not None and self.age(record) < self._policy.shortest
        pause = self._pause(record) if just_started else 0.0
        while True:
            await self._client.backoff.pause(pause)
            record = await self._leased(record)
            if record.ended or record.lease_owner != self._process:
                return record
            current_call_stats().count("poll")
            try:
                record = await self._polled(record, watch, anyio.current_time())
                good_at = anyio.current_time()
            except errors.APIError as error:
                if not error.retryable or anyio.current_time() - good_at >= self._policy.fault_seconds:
                    raise
                current_call_stats().count("retry")
            if record.ended:
                return record
            pause = self._pause(record)

    async def _polled(self, record: RunRecord, watch: _Watch, deadline: float) -> RunRecord:
        """Poll once, and return the run; if it has ended, with its end bound to it."""
        young = record.started_at is not None and self.age(record) < YOUNG_SECONDS
        try:
            status = await self._client.run_status(*record.ids, just_started=young, deadline=deadline)
        except errors.NotFoundError:
            return await self.end(record, failure=Failure.NOT_FOUND)
        watch.note(status.word)
        if not (status.documented or status.word in self._odd_words or len(self._odd_words) >= _MOST_ODD_WORDS):
            self._odd_words.add(status.word)
            log.warning("poll.undocumented_status", word=status.word, taken_as=status.phase.value)
        if status.phase is RunPhase.COMPLETED:
            return await self._completed(record, watch)
        if status.phase is RunPhase.FAILED:
            return await self.end(record, failure=Failure.RUN_FAILED)
        return await self.end(record, failure=Failure.NO_END_SEEN) if self._is_too_old(record) else record

    async def _completed(self, record: RunRecord, watch: _Watch) -> RunRecord:
        thread_id, run_id = record.ids
        try:
            answer = await self._client.thread_response(thread_id, just_completed=True)
        except errors.NotFoundError:
            log.warning("run.completed_without_answer", thread_id=thread_id, run_id=run_id)
            return await self.end(record, failure=Failure.NO_ANSWER)
        except errors.APIResponseValidationError as error:
            log.warning("run.answer_unreadable", thread_id=thread_id, run_id=run_id)
            if self._is_too_old(record):
                return await self.end(record, failure=Failure.NO_ANSWER)
            watch.unreadable = True
            raise errors.AnswerUnreadableError(thread_id, run_id) from error
        return await self.end(record, answer=answer)

    async def _leased(self, record: RunRecord) -> RunRecord:
        """Return the run under this process's lease, unless another process holds it or the run has ended."""
        fresh_until = self._store.now() + POLL_LEASE_SECONDS - RENEW_SECONDS
        if record.lease_owner == self._process and record.leased(fresh_until):
            return record
        return await self._store.change(
            record, lambda run, now: run.leased_to(self._process, seconds=POLL_LEASE_SECONDS, now=now)
        )

    def _pause(self, record: RunRecord) -> float:
        return self._policy.pause(self.age(record), random.random)

    def _is_too_old(self, record: RunRecord) -> bool:
        """Return whether to give the run up. One of another process is given up later: its clock may be wrong."""
        clock, age = self._clock(record), self.age(record)
        if clock.started_here:
            return age >= self._policy.run_seconds
        seen = anyio.current_time() - clock.first_seen
        return seen >= self._policy.run_seconds or age >= self._policy.run_seconds + CLOCK_SKEW_SECONDS

    def _clock(self, record: RunRecord) -> _Clock:
        clock = self._clocks.setdefault(record.key, _Clock(anyio.current_time()))
        if len(self._clocks) > _MOST_CLOCKS:
            self._clocks.popitem(last=False)
        return clock


STARTING_SECONDS = 1.0  # after `close`, for a question that has no run yet
SENDING_SECONDS = 3.0  # after `close`, for a start that is being sent; less than a drain (3.3 s)


class DrainScope:
    """Bounded waits: each ends at its deadline, when its caller leaves, or when the process closes."""

    def __init__(self) -> None:
        self._graces: dict[anyio.CancelScope, float] = {}
        self._closed_at = self._refuses_at = math.inf

    @property
    def closing(self) -> bool:
        """Return whether `close` was called."""
        return self._closed_at < math.inf

    @contextmanager
    def cancellable(self, deadline: float = math.inf, *, grace: float = 0.0) -> Iterator[anyio.CancelScope]:
        """Cancel what is awaited inside at the deadline, or `grace` seconds after `close`."""
        with anyio.CancelScope(deadline=min(deadline, self._closed_at + grace)) as scope:
            self._graces[scope] = grace
            try:
                yield scope
            finally:
                del self._graces[scope]

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Allow a question STARTING_SECONDS after `close` to become a run. Raise ServerClosingError if it did not."""
        if anyio.current_time() < self._refuses_at:
            with self.cancellable(grace=STARTING_SECONDS):
                yield
                return
        raise errors.ServerClosingError

    @contextmanager
    def sending(self, seconds: float) -> Iterator[None]:
        """Allow a start to be sent for `seconds`, or until SENDING_SECONDS after `close`; then raise TimeoutError."""
        with self.cancellable(anyio.current_time() + seconds, grace=SENDING_SECONDS) as scope:
            yield
        if scope.cancelled_caught:
            raise TimeoutError

    def close(self, *, late_calls: bool = False) -> None:
        """End every wait now, and each later one at its first step. Starts end after their grace.

        A question that comes later is refused; with `late_calls` only if it comes after STARTING_SECONDS.
        """
        now = anyio.current_time() if self._graces or late_calls else -math.inf  # the event loop may have ended
        self._closed_at = min(self._closed_at, now)
        self._refuses_at = self._closed_at + STARTING_SECONDS * late_calls
        for scope, grace in self._graces.items():
            scope.deadline = min(scope.deadline, self._closed_at + grace)

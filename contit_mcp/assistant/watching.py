"""One poller a run, however many wait for it; and the answer is read and kept the moment the run completes.

Whoever holds the run's lock polls for everyone in this process; when that caller leaves, the next in line goes
on. So no task outlives its caller, and nobody polls for a run that nobody waits for. Between processes the
ledger says who holds the run; the others look there for its end.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import anyio

from contit_mcp.assistant.schedule import NoEndSeen, Pace, PollPolicy, poll_until_ended
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.models import RunPhase, RunStatus
from contit_mcp.errors import NotFoundError
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.record import Failure, RunRecord
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

LAG_SECONDS = 5.0
"""How young a run is when a 404 about it may be replication lag (contit-api.md, "Not documented", 5)."""

LOOK_SECONDS = 8.0
"""How long one question about a run may take, retries included, also where the caller wants no wait at all."""


@dataclass(slots=True, weakref_slot=True)
class _Watch:
    """What those who wait for one run share."""

    turn: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))  # what follows yields anyway
    ended: RunRecord | None = None
    listeners: set[Callable[[str], None]] = field(default_factory=set)

    def tell(self, word: str) -> None:
        for listener in tuple(self.listeners):
            listener(word)


class Watcher:
    """Waits for remembered runs to end.

    Args:
        client: Contit.
        runs: Where ends and answers are kept, and who asks is known.
        policy: How to poll.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        client: ContitClient,
        runs: RunLedger,
        *,
        policy: PollPolicy | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._runs = runs
        self._policy = policy or PollPolicy()
        self._now = now
        self._pace = Pace()
        self._watches: WeakValueDictionary[str, _Watch] = WeakValueDictionary()

    @property
    def run_limit(self) -> float:
        """Seconds after which a run without an end is given up."""
        return self._policy.run_seconds

    async def until_ended(self, record: RunRecord, on_status: Callable[[str], None]) -> RunRecord:
        """Wait until a started run has ended, and return it with its answer or its failure.

        Raises:
            APIError: Contit could not be asked about it.
        """
        watch = self._watches.setdefault(record.key, _Watch())
        watch.listeners.add(on_status)
        try:
            async with watch.turn:
                if watch.ended is None:
                    watch.ended = await self._wait(record, watch.tell)
                return watch.ended
        except BaseException:
            if not watch.turn.locked():  # otherwise somebody here goes on
                await self._runs.let_go(record, now=self._now())
            raise
        finally:
            watch.listeners.discard(on_status)

    def pause(self, age: float) -> float:
        """Seconds between two questions about a run of that age."""
        return self._policy.schedule.pause(age, random.random)

    def is_due(self, record: RunRecord) -> bool:
        """Whether nobody here asks about the run, and it is old enough to have ended unseen."""
        watch = self._watches.get(record.key)
        return (watch is None or not watch.turn.locked()) and self._age(record) >= self._policy.schedule.shortest

    async def look(self, record: RunRecord, *, deadline: float | None = None) -> RunRecord:
        """Ask once where a run stands, and return it as it is then.

        Args:
            record: The run.
            deadline: On the event loop's clock; no retry begins after it.

        Raises:
            APIError: Contit could not be asked about it.
        """
        watch = self._watches.setdefault(record.key, _Watch())
        if watch.turn.locked() and watch.ended is None:
            return record  # somebody here is asking all the time
        async with watch.turn:
            if watch.ended is None:
                thread_id, run_id = ids(record)
                try:
                    status = await self._client.run_status(
                        thread_id, run_id, just_started=self._is_young(record), deadline=deadline
                    )
                except NotFoundError:
                    watch.ended = await self._runs.failed(record, Failure.NOT_FOUND, now=self._now())
                    return watch.ended
                if status.phase is RunPhase.IN_PROGRESS and self._age(record) < self.run_limit:
                    return record
                watch.ended = await self._conclude(record, status.phase)
            return watch.ended

    async def _wait(self, record: RunRecord, on_status: Callable[[str], None]) -> RunRecord:
        """Ask until the run has ended; or wait until the process that asks has seen its end, or is gone."""
        while True:
            record = await self._runs.hold(record, now=self._now())
            if record.ended:
                return record
            if self._runs.holds(record):
                try:
                    return await self._poll(record, on_status)
                except _NoLongerOurs:
                    continue
            await anyio.sleep(self.pause(self._age(record)))

    async def _poll(self, record: RunRecord, on_status: Callable[[str], None]) -> RunRecord:
        thread_id, run_id = ids(record)
        since = self._now() if record.started_at is None else record.started_at
        held = record

        async def ask() -> RunStatus:
            nonlocal held
            held = await self._runs.hold(held, now=self._now())
            if held.ended or not self._runs.holds(held):
                raise _NoLongerOurs
            return await self._client.run_status(
                thread_id, run_id, just_started=self._is_young(record), deadline=anyio.current_time()
            )

        try:
            phase = await poll_until_ended(
                ask,
                age=lambda: max(0.0, self._now() - since),
                policy=self._policy,
                pause_first=record.started_at is not None and self._age(record) < self._policy.schedule.shortest,
                on_status=on_status,
                pace=self._pace,
            )
        except NoEndSeen:
            phase = RunPhase.IN_PROGRESS
        except NotFoundError:
            return await self._runs.failed(record, Failure.NOT_FOUND, now=self._now())
        return await self._conclude(record, phase)

    async def _conclude(self, record: RunRecord, phase: RunPhase) -> RunRecord:
        """Bind the end to its run: until this is stored, nobody starts another run on the thread."""
        if phase is RunPhase.COMPLETED:
            try:
                answer = await self._client.thread_response(ids(record)[0], just_completed=True)
            except NotFoundError:
                log.warning("run.completed_without_answer", thread_id=record.thread_id, run_id=record.run_id)
                return await self._runs.failed(record, Failure.NO_ANSWER, now=self._now())
            return await self._runs.completed(record, answer, now=self._now())
        failure = Failure.RUN_FAILED if phase is RunPhase.FAILED else Failure.NO_END_SEEN
        return await self._runs.failed(record, failure, now=self._now())

    def _age(self, record: RunRecord) -> float:
        return 0.0 if record.started_at is None else max(0.0, self._now() - record.started_at)

    def _is_young(self, record: RunRecord) -> bool:
        return record.started_at is not None and self._age(record) < LAG_SECONDS


class _NoLongerOurs(Exception):  # noqa: N818 - no error: the wait goes on in another way
    """Another process has seen the end, or asks about the run now."""


def ids(record: RunRecord) -> tuple[str, str]:
    """Contit's two ids of a run that was started."""
    assert record.thread_id is not None  # noqa: S101 - a started record has both
    assert record.run_id is not None  # noqa: S101
    return record.thread_id, record.run_id

"""The thread that works on a SQLite file. What waits for it meanwhile is done together, in one transaction.

The way into a thread and back, and a commit, cost several times what is done there (docs/performance.md).
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from contit_mcp.errors import StoreError
from contit_mcp.runs.sqlite_file import inode, is_broken, open_file, set_aside, unusable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_MOST_AT_ONCE = 100
"""Done in one transaction. Other processes wait for its end, at most a second (`BUSY_SECONDS`); it takes some 10 ms."""

_MOST_WAITING = 1_000
"""Behind a disk that hangs they would pile up otherwise."""

_TIDY_SECONDS = 60.0

_UNUSABLE = (sqlite3.Error, OSError, LookupError, ValueError, TypeError)
"""What a file can do to us; the latter three where a row is not ours to understand."""


@dataclass(slots=True)
class Job:
    """Work, or without it the wish to close the file.

    Attributes:
        work: Done within a transaction.
        now: Seconds since the epoch.
        outcome: Awaited by whoever wants it done; cancelled when nobody does any more.
    """

    work: Work[Any] | None
    now: float
    outcome: asyncio.Future[Any]


class Rows(Protocol):
    """What the work is done on; used by the thread alone."""

    def begin(self, db: sqlite3.Connection) -> None:
        """A transaction has begun."""

    def flush(self, db: sqlite3.Connection) -> None:
        """It is about to end."""

    def forget(self) -> None:
        """It has failed, or the next one is in another file."""

    def tidy(self, db: sqlite3.Connection, now: float) -> None:
        """Drop what is too old; about once a minute. `now` is in seconds since the epoch."""


class SqliteThread:
    """Does work on one file, in the order of asking. The thread is there from the first work until the file is closed.

    Args:
        file: Made if it is not there.
        rows: Told where each transaction begins and ends.
        expendable: Whether a broken file is set aside and a new one begun.
    """

    def __init__(self, file: Path, rows: Rows, *, expendable: bool) -> None:
        self._file = file
        self._rows = rows
        self._expendable = expendable
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._starting_or_ending = threading.Lock()
        self._thread: threading.Thread | None = None
        # Of the thread alone: a connection that is closed while another thread works on it crashes the process.
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._tidied_at = 0.0

    async def do(self, work: Work[T], now: float) -> T:
        """Do the work in a transaction that excludes all other writers. Once begun, it is done even if nobody waits.

        Raises:
            StoreError: The file cannot be used.
        """
        outcome: asyncio.Future[T] = self._asked(work, now)
        return await outcome

    async def close(self) -> None:
        """Close the file, after all that was asked for before."""
        if self._thread is not None:
            await self._asked(None, 0.0)

    def _asked(self, work: Work[Any] | None, now: float) -> asyncio.Future[Any]:
        if self._jobs.qsize() >= _MOST_WAITING:
            raise unusable(self._file, TimeoutError(0, "it is too slow"))
        job = Job(work, now, asyncio.get_running_loop().create_future())
        with self._starting_or_ending:
            if self._thread is None:
                # One that hangs on its disk must not keep the process alive.
                thread = threading.Thread(target=self._go_on, name="contit-mcp run store", daemon=True)
                try:
                    thread.start()
                except RuntimeError as exc:
                    raise unusable(self._file, OSError(0, "no thread can be started for it")) from exc
                self._thread = thread
            self._jobs.put(job)
        return job.outcome

    def _go_on(self) -> None:
        while not self._work_off():
            pass

    def _work_off(self) -> bool:
        """Wait for jobs and do all that are there; whether the thread is to end. Nothing of them is kept then."""
        jobs = [self._jobs.get()]
        with suppress(Empty):
            while len(jobs) < _MOST_AT_ONCE and jobs[-1].work is not None:
                jobs.append(self._jobs.get_nowait())
        wanted = [job for job in jobs if not job.outcome.done()]
        closing = [job for job in wanted if job.work is None]
        works = [job for job in wanted if job.work is not None]
        _tell(works, self._outcomes(works))
        if not closing:
            return False
        outcome = None
        try:
            self._close()
        except sqlite3.Error as exc:
            outcome = unusable(self._file, exc)
        with self._starting_or_ending:
            ended = self._jobs.empty()
            if ended:
                self._thread = None
        _tell(closing, [outcome])
        return ended

    def _outcomes(self, jobs: Sequence[Job]) -> list[Any]:
        """What came of each: its result, or an exception."""
        try:
            return self._transact(jobs)
        except _OneFailedError:
            return self._one_by_one(jobs)
        except BaseException as exc:  # noqa: BLE001 - it is raised where somebody waits
            return [exc] * len(jobs)

    def _one_by_one(self, jobs: Sequence[Job]) -> list[Any]:
        """One of them spoilt it for all. Where it is the file that cannot be used, the rest is not tried."""
        outcomes: list[Any] = []
        trouble = None
        for job in jobs:
            outcome = trouble
            if trouble is None and not job.outcome.done():
                (outcome,) = self._outcomes([job])
                if isinstance(outcome, StoreError) and isinstance(outcome.__cause__, sqlite3.Error | OSError):
                    trouble = outcome
            outcomes.append(outcome)
        return outcomes

    def _transact(self, jobs: Sequence[Job]) -> list[Any]:
        try:
            try:
                return self._in_transaction(jobs)
            except _UNUSABLE as exc:
                broken = self._inode
                self._close()  # whatever is wrong with it may be gone in a newly opened one
                if not (self._expendable and is_broken(exc)):
                    raise
                set_aside(self._file, broken)
                return self._in_transaction(jobs)
        except _UNUSABLE as exc:
            self._close()
            raise unusable(self._file, exc) from exc

    def _in_transaction(self, jobs: Sequence[Job]) -> list[Any]:
        if not jobs:
            return []
        db = self._opened()
        db.execute("BEGIN IMMEDIATE")
        try:
            self._rows.begin(db)
            changed = db.total_changes
            due = abs(jobs[0].now - self._tidied_at) >= _TIDY_SECONDS
            if due:  # seldom: what is read is judged by its age anyway
                self._rows.tidy(db, jobs[0].now)
            tidied = db.total_changes > changed
            results = self._results(jobs, db)
            db.execute("COMMIT")
        except BaseException:
            self._rows.forget()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        if due:
            self._tidied_at = jobs[0].now
        if tidied:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was overwritten must not stay in the journal
        return results

    def _results(self, jobs: Sequence[Job], db: sqlite3.Connection) -> list[Any]:
        try:
            results = [job.work(db) for job in jobs if job.work is not None]
            self._rows.flush(db)
        except Exception as exc:
            if len(jobs) == 1:
                raise
            raise _OneFailedError from exc
        return results

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and inode(self._file) != self._inode:
            self._close()  # it was removed or replaced under our feet
        if self._connection is None:
            self._rows.forget()
            self._inode = inode(self._file)
            self._connection = open_file(self._file)
            self._inode = inode(self._file)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _OneFailedError(Exception):
    """One of several works did: all of them are done again, each by itself, so that the others suffer nothing."""


def _tell(jobs: Sequence[Job], outcomes: Sequence[Any]) -> None:
    """Say to those who wait what came of it, each on its own event loop."""
    for loop in {job.outcome.get_loop() for job in jobs}:
        theirs = [pair for pair in zip(jobs, outcomes, strict=True) if pair[0].outcome.get_loop() is loop]
        with suppress(RuntimeError):  # the loop is closed, and all who waited on it are gone
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(pairs: Sequence[tuple[Job, Any]]) -> None:
    for job, outcome in pairs:
        if isinstance(outcome, BaseException) and not job.outcome.done():
            job.outcome.set_exception(outcome)
        elif not job.outcome.done():
            job.outcome.set_result(outcome)

"""Runs kept in one SQLite file, shared by all processes of one machine.

Each operation is one short transaction on one connection, in the store's thread: a slow disk never blocks the loop.
"""

import asyncio
import contextlib
import os
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, TypeVar

if sys.platform != "win32":
    import fcntl

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Slot, slots_of
from contit_mcp.runs.record import SCHEMA_VERSION, RunRecord
from contit_mcp.runs.store import MOST_RECENT, RetentionPolicy, RunStore, Update
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)
T = TypeVar("T")

FILE_NAME = f"runs-v{SCHEMA_VERSION}.sqlite3"
"""In the state folder. Each schema has its own file, so that two versions of this program can run side by side."""

# `thread_id` and `opening` are the slots that the run is in (`claims`).
_SCHEMA = """
CREATE TABLE run (
    key TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    thread_id TEXT,
    opening TEXT,
    run_id TEXT,
    asked_at REAL NOT NULL,
    ended_at REAL,
    lease_until REAL,
    record TEXT NOT NULL,
    answer TEXT
) STRICT;
CREATE INDEX run_on_thread ON run (owner, thread_id, asked_at);
CREATE INDEX run_that_opened ON run (owner, opening, asked_at) WHERE opening IS NOT NULL;
CREATE INDEX run_of_owner ON run (owner, asked_at) WHERE run_id IS NOT NULL;
CREATE INDEX run_asked_at ON run (asked_at);
CREATE INDEX run_with_answer ON run (ended_at) WHERE answer IS NOT NULL;
"""
_NEWEST = "ORDER BY asked_at DESC, key DESC LIMIT ?"

_APPLICATION_ID = 0x436F6E74  # "Cont" marks the files of this program; another program's file is not touched
_BUSY_SECONDS = 1.0  # how long another process's transaction is waited for; they take milliseconds
_KEEP_BROKEN_SECONDS = 86_400.0  # how long a file that was set aside is kept
_TIDY_SECONDS = 60.0  # between two removals of what is too old
_MOST_WAITING = 1_000  # operations; behind a disk that hangs they would pile up
_IDLE_SECONDS = 5.0  # how long the thread waits for an operation before it ends
_UNUSABLE = (sqlite3.Error, OSError)


class _NotOursError(sqlite3.DatabaseError):
    """The file belongs to another program, version or user. It is left as it is."""


class _DaemonThread(Executor):
    """Does one piece of work after another. Unlike a pool's thread it does not keep a process alive on a hung disk."""

    def __init__(self) -> None:
        self._waiting: Queue[Callable[[], None]] = Queue(_MOST_WAITING)
        self._is_running = False
        self._starting_or_ending = threading.Lock()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Do the work after all that waits already. Raise OSError if too much waits, or no thread can be started."""
        outcome: Future[T] = Future()

        def work() -> None:
            if outcome.set_running_or_notify_cancel():
                try:
                    outcome.set_result(fn(*args, **kwargs))
                except BaseException as exc:  # noqa: BLE001 - raised where it is awaited
                    outcome.set_exception(exc)

        with self._starting_or_ending:
            try:
                if not self._is_running:
                    threading.Thread(target=self._run, name="contit-mcp run store", daemon=True).start()
                self._is_running = True
                self._waiting.put_nowait(work)
            except (RuntimeError, Full) as exc:
                raise OSError(0, "it is too slow, or no thread can be started for it") from exc
        return outcome

    def _run(self) -> None:
        while True:
            with contextlib.suppress(Empty):
                while True:
                    self._waiting.get(timeout=_IDLE_SECONDS)()
            with self._starting_or_ending:
                self._is_running = not self._waiting.empty()
                if not self._is_running:
                    return


class SqliteRunStore(RunStore):
    """A `RunStore` in a file, which is created with mode 0600 if it does not exist.

    A broken file is moved away and a new one begun only if it is `expendable`: a file that the user has named may be
    another program's. `executor` must do one piece of work after another; by default it is a daemon thread.
    """

    def __init__(
        self,
        file: Path,
        *,
        retention: RetentionPolicy | None = None,
        expendable: bool = False,
        now: Callable[[], float] = time.time,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(retention, now)
        self._file = file
        self._expendable = expendable
        self._executor = executor or _DaemonThread()
        # Used by the executor alone: a connection that is closed while another thread uses it crashes the process.
        self._connection: sqlite3.Connection | None = None
        self._inode = -1
        self._tidied_at = 0.0

    async def _update(self, slot: Slot, update: Update[T]) -> T:
        def work(db: sqlite3.Connection, now: float) -> T:
            owner, column, value = slot
            stored = self._one(db, now, f"WHERE owner = ? AND {column} = ? {_NEWEST}", owner, value)
            result, forgotten, kept = update(stored, now)
            if forgotten is not None:
                db.execute("DELETE FROM run WHERE key = ?", [forgotten.key])
            if kept is not None:
                self._put(db, kept, now)
            return result

        return await self._do(work)

    async def find(self, owner: str, thread_id: str, run_id: str | None = None) -> RunRecord | None:
        """Return the run with these ids, or the newest one on the thread whose ids are known."""
        where = f"WHERE owner = ? AND thread_id = ? AND run_id = coalesce(?, run_id) {_NEWEST}"  # no row without run_id
        return await self._do(lambda db, now: self._one(db, now, where, owner, thread_id, run_id))

    async def recent(self, owner: str, limit: int) -> list[RunRecord]:
        """Return the owner's newest runs whose ids are known, newest first, without answers."""
        query = f"SELECT key, record, NULL FROM run WHERE owner = ? AND run_id IS NOT NULL {_NEWEST}"  # noqa: S608
        most = max(0, min(limit, MOST_RECENT))  # for SQLite a negative limit means no limit
        return await self._do(lambda db, now: list(self._records(now, db.execute(query, [owner, most]))))

    async def aclose(self) -> None:
        """Close the file, after all operations that were asked for before. The next operation opens it again."""
        await self._work(self._close)

    async def _do(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        return await self._work(lambda: self._transact(work))

    async def _work(self, work: Callable[[], T]) -> T:
        """Do the work in the order of asking. Work that has begun is finished even if its caller leaves."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except _UNUSABLE as exc:
            # SQLite's texts name the fault and contain no value.
            reason = str(exc) if isinstance(exc, sqlite3.Error) else exc.strerror
            raise StoreError(
                f"The run store {self._file} cannot be used: {reason or type(exc).__name__}.",
                hint="Check that file and its folder, or set CONTIT_MCP_STORE to another place.",
            ) from exc

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transact(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        try:
            return self._in_transaction(work)
        except _UNUSABLE as exc:
            broken_inode = self._inode
            self._close()  # the file may work when it is opened anew
            is_broken = getattr(exc, "sqlite_errorcode", None) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
            if not (self._expendable and is_broken):
                raise
            _set_aside(self._file, broken_inode)
            return self._in_transaction(work)

    def _in_transaction(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        db, now = self._opened(), self.now()
        tidied = abs(now - self._tidied_at) >= _TIDY_SECONDS and self._tidy(db, now)
        with db:
            db.execute("BEGIN IMMEDIATE")
            result = work(db, now)
        if tidied:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # overwritten answers must not stay in the journal
        return result

    def _tidy(self, db: sqlite3.Connection, now: float) -> bool:
        """Drop what is too old, and return whether there was any. Reads skip what is too old themselves."""
        self._tidied_at = now
        before = db.total_changes
        answers, runs = now - self._retention.answer, now - self._retention.record
        db.execute("UPDATE run SET answer = NULL WHERE answer IS NOT NULL AND ended_at < ?", [answers])
        db.execute("DELETE FROM run WHERE asked_at < ? AND coalesce(lease_until, 0) <= ?", [runs, now])
        return db.total_changes > before

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and _inode(self._file) != self._inode:
            self._close()  # the file was removed or replaced
        if self._connection is None:
            self._inode = _inode(self._file)
            self._connection = _open(self._file)
            self._inode = _inode(self._file)
        return self._connection

    def _put(self, db: sqlite3.Connection, record: RunRecord, now: float) -> None:
        record = self._retention.kept(record, now=now) or record
        slots = {column: value for _, column, value in slots_of(record)}
        db.execute(
            "REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(record.key, record.question.owner, slots.get("thread_id"), slots.get("opening"), record.run_id),
                *(record.asked_at, record.ended_at, record.lease_until, record.to_json(), record.answer),
            ],
        )

    def _one(self, db: sqlite3.Connection, now: float, where: str, *values: str | None) -> RunRecord | None:
        query = f"SELECT key, record, answer FROM run {where}"  # noqa: S608 - our own words
        return next(self._records(now, db.execute(query, [*values, 1])), None)

    def _records(self, now: float, rows: sqlite3.Cursor) -> Iterator[RunRecord]:
        records = (self._retention.read(*row, now=now) for row in rows)
        return (record for record in records if record is not None)


def _open(file: Path) -> sqlite3.Connection:
    for folder in (*reversed(file.parent.parents), file.parent):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)  # for this user alone, whatever the umask
    _drop_old_broken_files(file)
    with _locked(file):
        _create_safely(file)  # SQLite would create it readable for others
        db = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db)
        except BaseException:
            db.close()
            raise
        return db


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let only one process at a time create the file or move it away. Windows cannot move an open file anyway."""
    if sys.platform == "win32":
        yield
        return
    lock = os.open(file.parent, os.O_RDONLY)  # the folder itself, so that no other file is left there
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)  # this also unlocks it


def _create_safely(file: Path) -> None:
    """Create the file if it does not exist, and check that it is a regular file of this user alone."""
    if file.is_symlink():
        raise _NotOursError("it is a symbolic link")
    flags = os.O_RDWR | os.O_CREAT
    descriptor = os.open(file, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o600)
    found = os.fstat(descriptor)
    os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise _NotOursError("it is not a regular file")
    if os.name == "posix" and found.st_uid != os.geteuid():
        raise _NotOursError("it belongs to another user")
    if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
        raise _NotOursError(f"other users can use it; run: chmod 600 {file}")


def _prepare(db: sqlite3.Connection) -> None:
    """Set a database up, and create its tables. One that another program or version has written is refused."""
    if not _is_empty(db):
        if db.execute("PRAGMA application_id").fetchone() != (_APPLICATION_ID,):
            raise _NotOursError("it is a database of another program")
        if db.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
            raise _NotOursError("it was written by another version of contit-mcp")
    # Of two processes that open a new file at once, SQLite lets one fail here without waiting; the other sets the mode.
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # a crash of the process loses nothing, of the machine the last writes
    db.execute("PRAGMA secure_delete = ON")  # an answer that is deleted is overwritten
    db.execute("BEGIN IMMEDIATE")
    if _is_empty(db):
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def _set_aside(file: Path, broken_inode: int) -> None:
    """Move a broken file away and log it, unless another process has done so."""
    with _locked(file):
        if _inode(file) != broken_inode:
            return
        for suffix in ("-wal", "-shm", ""):
            part, aside = (file.with_name(f"{file.name}{end}") for end in (suffix, f".broken{suffix}"))
            with contextlib.suppress(FileNotFoundError):  # the last process to close a file removes -wal and -shm
                part.replace(aside)
                aside.chmod(0o600)
                if not suffix:
                    log.warning("store.set_aside", reason="the file is broken", file=str(file), moved_to=str(aside))


def _drop_old_broken_files(file: Path) -> None:
    for aside in file.parent.glob(f"{file.name}.broken*"):
        with contextlib.suppress(OSError):  # tried again at the next start
            if time.time() - aside.stat().st_mtime > _KEEP_BROKEN_SECONDS:
                aside.unlink()


def _inode(file: Path) -> int:
    """Return a number by which files of the same name differ; -1 if there is no file."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return -1

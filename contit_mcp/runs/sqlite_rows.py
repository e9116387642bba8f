"""The rows of the SQLite file: what a transaction reads and writes, with as few statements as it takes.

Each statement gives Python's lock away and has to get it back. While the event loop is busy that costs more than the
statement (docs/performance.md). So what no other process has changed is not read again, and what a transaction has
to write is written at its end, many rows a statement.
"""

import sqlite3
from functools import cache

from contit_mcp.runs.claims import slot_of, slots_of
from contit_mcp.runs.flat import NAMES, from_flat, to_flat
from contit_mcp.runs.record import Delivery, Phase, Question, RunRecord
from contit_mcp.runs.store import RetentionPolicy

_SELECT = f"SELECT {', '.join(NAMES)} FROM run"  # noqa: S608 - our own names
_NEWEST = " ORDER BY asked_at DESC, rowid DESC LIMIT 1"
_ON_THREAD = f"{_SELECT} WHERE owner = ? AND coalesce(thread_id, asked_thread_id) = ?"
_OPENED = f"{_SELECT} WHERE owner = ? AND prompt_hash = ? AND asked_thread_id IS NULL"

_MOST_IN_A_STATEMENT = 32
"""Rows; a power of two. The statements are prepared once for each power below."""

_MOST_KNOWN = 2_000


@cache
def _upsert(count: int) -> str:
    rows = ", ".join([f"({', '.join('?' * len(NAMES))})"] * count)
    kept = ", ".join(f"{name} = excluded.{name}" for name in NAMES if name != "key")
    return f"INSERT INTO run ({', '.join(NAMES)}) VALUES {rows} ON CONFLICT (key) DO UPDATE SET {kept}"  # noqa: S608


class SqliteRows:
    """The rows as a thread's transactions see them (`sqlite_thread`).

    Args:
        retention: How long runs and answers are kept.
    """

    def __init__(self, retention: RetentionPolicy) -> None:
        self._retention = retention
        self._version: int | None = None
        # Runs whose answer no caller has yet, as the file has them once `flush` is done.
        self._known: dict[str, RunRecord] = {}
        self._unwritten: dict[str, RunRecord] = {}
        self._unwritten_slots: set[Question] = set()

    def begin(self, db: sqlite3.Connection) -> None:
        """A transaction has begun. What another connection has changed since the last one is read anew."""
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._known) > _MOST_KNOWN:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """A transaction has failed, or the file is another one: what was known may not be so."""
        self._version = None
        self._known.clear()
        self._unwritten.clear()
        self._unwritten_slots.clear()

    def flush(self, db: sqlite3.Connection) -> None:
        """Write what has to be written; a transaction does so before it ends."""
        rows = [[flat[name] for name in NAMES] for flat in map(to_flat, self._unwritten.values())]
        self._unwritten.clear()
        self._unwritten_slots.clear()
        count = _MOST_IN_A_STATEMENT
        while rows:
            while count > len(rows):
                count //= 2
            db.execute(_upsert(count), [value for row in rows[:count] for value in row])
            del rows[:count]

    def tidy(self, db: sqlite3.Connection, now: float) -> None:
        """Drop what is too old."""
        self._known.clear()
        db.execute(
            "UPDATE run SET answer = NULL WHERE answer IS NOT NULL AND ended_at < ?", [now - self._retention.answer]
        )
        db.execute(
            "DELETE FROM run WHERE asked_at < ? AND coalesce(held_until, 0) <= ?", [now - self._retention.record, now]
        )

    def get(self, db: sqlite3.Connection, key: str, now: float) -> RunRecord | None:
        """The run with this key."""
        if known := self._known.get(key):
            return self._retention.kept(known, now=now)
        self.flush(db)
        return self._one(db, now, f"{_SELECT} WHERE key = ?", key)

    def find(self, db: sqlite3.Connection, owner: str, thread_id: str, run_id: str, now: float) -> RunRecord | None:
        """The run with these ids."""
        self.flush(db)
        return self._one(db, now, f"{_ON_THREAD} AND run_id = ? {_NEWEST}", owner, thread_id, run_id)

    def latest(self, db: sqlite3.Connection, owner: str, thread_id: str, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        self.flush(db)
        return self._one(db, now, f"{_ON_THREAD} AND thread_id IS NOT NULL {_NEWEST}", owner, thread_id)

    def latest_before(self, db: sqlite3.Connection, question: Question, now: float) -> RunRecord | None:
        """The run that a question meets, as `claims.existing_run` wants it."""
        if slot_of(question) in self._unwritten_slots:
            self.flush(db)
        if question.thread_id is None:
            return self._one(db, now, _OPENED + _NEWEST, question.owner, question.prompt_hash)
        return self._one(db, now, _ON_THREAD + _NEWEST, question.owner, question.thread_id)

    def put(self, record: RunRecord, *, before: RunRecord | None, now: float) -> None:
        """Keep what may still be known of it."""
        kept = self._retention.kept(record, now=now) or record
        self._unwritten[kept.key] = kept
        self._unwritten_slots.update(slots_of(kept), slots_of(before) if before is not None else ())
        if kept.delivered_at is None or kept.delivery is Delivery.SENDING:
            self._known[kept.key] = kept
        else:
            self._known.pop(kept.key, None)  # what follows is seldom, and answers are long

    def delete(self, db: sqlite3.Connection, record: RunRecord, *, only: Phase | None = None) -> None:
        """Forget a run; with `only`, if it stands there."""
        self.flush(db)
        self._known.pop(record.key, None)
        db.execute("DELETE FROM run WHERE key = ? AND phase = coalesce(?, phase)", [record.key, only])

    def _one(self, db: sqlite3.Connection, now: float, query: str, *values: str) -> RunRecord | None:
        row = db.execute(query, values).fetchone()
        return None if row is None else self._retention.kept(from_flat(dict(zip(NAMES, row, strict=True))), now=now)

"""Runs kept in one SQLite file, shared by all processes of one machine."""

import sqlite3
from pathlib import Path

import anyio

from contit_mcp.runs.claims import Claim, Granted, ReplayPolicy, decide
from contit_mcp.runs.flat import NAMES, from_flat, to_flat
from contit_mcp.runs.record import Phase, Question, RunRecord
from contit_mcp.runs.sqlite_file import BUSY_SECONDS, unusable
from contit_mcp.runs.sqlite_thread import SqliteThread
from contit_mcp.runs.store import Change, RetentionPolicy

_SELECT = f"SELECT {', '.join(NAMES)} FROM run"  # noqa: S608 - our own names
_UPSERT = (
    f"INSERT INTO run ({', '.join(NAMES)}) VALUES ({', '.join(':' + name for name in NAMES)})"  # noqa: S608
    f" ON CONFLICT (key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in NAMES if name != 'key')}"
)
_NEWEST = " ORDER BY asked_at DESC, rowid DESC LIMIT 1"
_ON_THREAD = f"{_SELECT} WHERE owner = ? AND coalesce(thread_id, asked_thread_id) = ?"
_OPENED = f"{_SELECT} WHERE owner = ? AND prompt_hash = ? AND asked_thread_id IS NULL"


class SqliteRunStore:
    """A `RunStore` in a file. The work is done in a thread, so that a slow disk delays nobody else.

    Args:
        file: Made with mode 0600 if it is not there.
        retention: How long runs and answers are kept.
        replay: When an answer is given again.
        expendable: Whether a broken file is set aside and a new one begun. Not where its user has named it: it may be
            something else.
    """

    def __init__(
        self,
        file: Path,
        *,
        retention: RetentionPolicy | None = None,
        replay: ReplayPolicy | None = None,
        expendable: bool = False,
    ) -> None:
        self._file = file
        self._thread = SqliteThread(file, expendable=expendable, tidy=self._tidy)
        self._retention = retention or RetentionPolicy()
        self._replay = replay or ReplayPolicy()

    async def claim(self, intent: RunRecord, *, now: float) -> Claim:
        """Keep the intent to start, or return the run that stands in its way."""

        def claim(db: sqlite3.Connection) -> Claim:
            latest = self._latest_before(db, intent.question, now)
            claim = decide(intent, latest, now=now, policy=self._replay)
            if isinstance(claim, Granted):
                if latest is not None and claim.interrupted:
                    db.execute("DELETE FROM run WHERE key = ?", [latest.key])
                db.execute(_UPSERT, to_flat(claim.record))
            return claim

        return await self._thread.do(claim, now)

    async def change(self, record: RunRecord, change: Change, *, now: float) -> RunRecord:
        """Change what is kept of a run, and return it as it is then."""

        def apply(db: sqlite3.Connection) -> RunRecord:
            before = self._one(db, now, f"{_SELECT} WHERE key = ?", record.key)
            after = change(before or record)
            if after != before and (before is not None or after.remembered):
                db.execute(_UPSERT, to_flat(self._retention.kept(after, now=now) or after))
            return after

        return await self._thread.do(apply, now)

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that came to nothing."""
        await self._thread.do(
            lambda db: db.execute("DELETE FROM run WHERE key = ? AND phase = ?", [intent.key, Phase.STARTING]),
            intent.asked_at,
        )

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids."""
        query = f"{_ON_THREAD} AND run_id = ? {_NEWEST}"
        return await self._thread.do(lambda db: self._one(db, now, query, owner, thread_id, run_id), now)

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        query = f"{_ON_THREAD} AND thread_id IS NOT NULL {_NEWEST}"
        return await self._thread.do(lambda db: self._one(db, now, query, owner, thread_id), now)

    async def aclose(self) -> None:
        """Close the file.

        Raises:
            StoreError: An abandoned transaction still hangs on it.
        """
        try:
            with anyio.fail_after(BUSY_SECONDS):
                await self._thread.close()
        except TimeoutError as exc:
            raise unusable(self._file, TimeoutError(0, "it is too slow")) from exc

    def _latest_before(self, db: sqlite3.Connection, question: Question, now: float) -> RunRecord | None:
        if question.thread_id is None:
            return self._one(db, now, _OPENED + _NEWEST, question.owner, question.prompt_hash)
        return self._one(db, now, _ON_THREAD + _NEWEST, question.owner, question.thread_id)

    def _one(self, db: sqlite3.Connection, now: float, query: str, *values: str) -> RunRecord | None:
        row = db.execute(query, values).fetchone()
        return None if row is None else self._retention.kept(from_flat(dict(zip(NAMES, row, strict=True))), now=now)

    def _tidy(self, db: sqlite3.Connection, now: float) -> None:
        """Drop what is too old."""
        db.execute(
            "UPDATE run SET answer = NULL WHERE answer IS NOT NULL AND ended_at < ?", [now - self._retention.answer]
        )
        db.execute(
            "DELETE FROM run WHERE asked_at < ? AND coalesce(held_until, 0) <= ?", [now - self._retention.record, now]
        )

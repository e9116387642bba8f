"""Runs kept in one SQLite file, shared by all processes of one machine."""

import sqlite3
from pathlib import Path

import anyio

from contit_mcp.runs.claims import Claim, Granted, ReplayPolicy, decide
from contit_mcp.runs.record import Phase, RunRecord
from contit_mcp.runs.sqlite_file import BUSY_SECONDS, unusable
from contit_mcp.runs.sqlite_rows import SqliteRows
from contit_mcp.runs.sqlite_thread import SqliteThread
from contit_mcp.runs.store import Change, RetentionPolicy


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
        self._rows = SqliteRows(retention or RetentionPolicy())
        self._thread = SqliteThread(file, self._rows, expendable=expendable)
        self._replay = replay or ReplayPolicy()

    async def claim(self, intent: RunRecord, *, now: float) -> Claim:
        """Keep the intent to start, or return the run that stands in its way."""

        def claim(db: sqlite3.Connection) -> Claim:
            latest = self._rows.latest_before(db, intent.question, now)
            claim = decide(intent, latest, now=now, policy=self._replay)
            if isinstance(claim, Granted):
                if latest is not None and claim.interrupted:
                    self._rows.delete(db, latest)
                self._rows.put(claim.record, before=None, now=now)
            return claim

        return await self._thread.do(claim, now)

    async def change(self, record: RunRecord, change: Change, *, now: float) -> RunRecord:
        """Change what is kept of a run, and return it as it is then."""

        def apply(db: sqlite3.Connection) -> RunRecord:
            before = self._rows.get(db, record.key, now)
            after = change(before or record)
            if after != before and (before is not None or after.remembered):
                self._rows.put(after, before=before, now=now)
            return after

        return await self._thread.do(apply, now)

    async def release(self, intent: RunRecord) -> None:
        """Forget an intent that came to nothing."""
        await self._thread.do(lambda db: self._rows.delete(db, intent, only=Phase.STARTING), intent.asked_at)

    async def find(self, owner: str, thread_id: str, run_id: str, *, now: float) -> RunRecord | None:
        """The run with these ids."""
        return await self._thread.do(lambda db: self._rows.find(db, owner, thread_id, run_id, now), now)

    async def latest(self, owner: str, thread_id: str, *, now: float) -> RunRecord | None:
        """The newest run on a thread whose ids are known."""
        return await self._thread.do(lambda db: self._rows.latest(db, owner, thread_id, now), now)

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

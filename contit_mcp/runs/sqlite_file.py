"""The file of the SQLite store: its schema, opening it, and getting a broken one out of the way."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from contit_mcp.errors import StoreError

SCHEMA_VERSION = 2
"""Of the file."""

FILE_NAME = f"runs-v{SCHEMA_VERSION}.sqlite3"
"""In the state folder. Its own name for each schema, so that two versions of this program get along."""

_SCHEMA = """
CREATE TABLE run (
    key TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    asked_thread_id TEXT,
    prompt_hash TEXT NOT NULL,
    asked_at REAL NOT NULL,
    delivery TEXT NOT NULL,
    phase TEXT NOT NULL,
    thread_id TEXT,
    run_id TEXT,
    started_at REAL,
    ended_at REAL,
    delivered_at REAL,
    answer TEXT,
    failure TEXT,
    holder TEXT,
    held_until REAL,
    cancelled TEXT NOT NULL
) STRICT;
CREATE INDEX run_on_thread ON run (owner, coalesce(thread_id, asked_thread_id), asked_at);
CREATE INDEX run_that_opened ON run (owner, prompt_hash, asked_at) WHERE asked_thread_id IS NULL;
CREATE INDEX run_asked_at ON run (asked_at);
CREATE INDEX run_with_answer ON run (ended_at) WHERE answer IS NOT NULL;
"""


_APPLICATION_ID = 0x436F6E74  # "Cont"
"""By which SQLite files are told apart; no other program's is touched."""

_BROKEN_SECONDS = 86_400.0
"""How long a file that was set aside is kept, for whoever wonders."""

BUSY_SECONDS = 1.0
"""How long another process's transaction is waited for; they take milliseconds."""


class _NotOursError(sqlite3.DatabaseError):
    """The file is left as it is."""


def open_file(file: Path) -> sqlite3.Connection:
    """Open the file, and make it with mode 0600 if it is not there.

    Raises:
        sqlite3.Error, OSError: It cannot be used; see `is_broken`.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _drop_what_was_set_aside(file)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would make it readable for others
    db = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            _prepare(db)
        except BaseException as exc:
            # Two that open a new file at once: SQLite does not wait where it changes how the journal is kept.
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY and time.monotonic() < until:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                time.sleep(0.02)
                continue
            db.close()
            raise
        return db


def _prepare(db: sqlite3.Connection) -> None:
    _check_whose(db)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # a crash of this process loses nothing; of the machine, moments
    db.execute("PRAGMA secure_delete = ON")  # an answer past its time is overwritten
    db.execute("BEGIN IMMEDIATE")
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")


def _check_whose(db: sqlite3.Connection) -> None:
    """Refuse what another program or another version has written."""
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        return
    if db.execute("PRAGMA application_id").fetchone() != (_APPLICATION_ID,):
        raise _NotOursError("it is a database of another program")
    if db.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
        raise _NotOursError("it was written by another version of contit-mcp")


def is_broken(error: Exception) -> bool:
    """Whether the file is beyond repair."""
    return getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def look_at(file: Path) -> None:
    """See whether an existing file could be used, and change nothing about it.

    Raises:
        StoreError: It could not.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
            _check_whose(db)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with file.open("r+b"):
            pass
    except (sqlite3.Error, OSError) as exc:
        raise unusable(file, exc) from exc


def unusable(file: Path, error: Exception) -> StoreError:
    """The error that names the file. SQLite's words name what is wrong, never a value."""
    reason = "it holds what this version does not understand"
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
    elif isinstance(error, sqlite3.Error):
        reason = str(error)
    return StoreError(
        f"The run store {file} cannot be used: {reason}.",
        hint="Check that file and its folder, or set CONTIT_MCP_STORE to another place.",
    )


def set_aside(file: Path, broken: int) -> None:
    """Make room for a new file, unless another process has done so: what a broken one held was worth a day.

    Args:
        file: The file.
        broken: The inode of the one that is broken.

    Raises:
        OSError: It cannot be moved.
    """
    if inode(file) != broken:
        return
    for suffix in ("", "-wal", "-shm"):
        part, aside = (file.with_name(f"{file.name}{end}") for end in (suffix, f".broken{suffix}"))
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            part.replace(aside)
            aside.chmod(0o600)


def _drop_what_was_set_aside(file: Path) -> None:
    for aside in file.parent.glob(f"{file.name}.broken*"):
        with contextlib.suppress(OSError):  # of no consequence: it is tried again at the next start
            if time.time() - aside.stat().st_mtime > _BROKEN_SECONDS:
                aside.unlink()


def inode(file: Path) -> int:
    """What tells this file from another of the same name; -1 when there is none."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return -1

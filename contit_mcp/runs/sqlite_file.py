"""The file of the SQLite store: its schema, opening it, and getting a broken one out of the way."""

import os
import sqlite3
from pathlib import Path

SCHEMA_VERSION = 1
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
    held_until REAL
) STRICT;
CREATE INDEX run_on_thread ON run (owner, coalesce(thread_id, asked_thread_id), asked_at);
CREATE INDEX run_that_opened ON run (owner, prompt_hash, asked_at) WHERE asked_thread_id IS NULL;
CREATE INDEX run_asked_at ON run (asked_at);
CREATE INDEX run_with_answer ON run (ended_at) WHERE answer IS NOT NULL;
"""


BUSY_SECONDS = 1.0
"""How long another process's transaction is waited for; they take less than a millisecond."""


class _OtherSchemaError(sqlite3.DatabaseError):
    """The file was written by another version of this program."""


def open_file(file: Path) -> sqlite3.Connection:
    """Open the file, and make it with mode 0600 if it is not there.

    Raises:
        sqlite3.Error, OSError: It cannot be used; see `is_broken`.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would make it readable for others
    db = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # a crash of this process loses nothing; of the machine, moments
    db.execute("PRAGMA secure_delete = ON")  # an answer past its time is overwritten
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")
    if version not in {0, SCHEMA_VERSION}:
        raise _OtherSchemaError("it was written by another version of contit-mcp")


def is_broken(error: Exception) -> bool:
    """Whether the file is beyond repair."""
    return getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def set_aside(file: Path) -> None:
    """Make room for a new file: what a broken one held was worth a day at the most."""
    for suffix in ("", "-wal", "-shm"):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(file.with_name(f"{file.name}.broken{suffix}"))


def inode(file: Path) -> int:
    """What tells this file from another of the same name; -1 when there is none."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return -1

"""The store in a file: its thread, the files that it refuses, broken files, and the content of a file."""

import contextlib
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Granted
from contit_mcp.runs.record import RunRecord
from contit_mcp.runs.sqlite import FILE_NAME, SqliteRunStore
from contit_mcp.runs.store import RetentionPolicy
from tests.children import anyio_backend
from tests.runs.steps import Clock, begin, check_a_spoilt_record, claim, complete, found, open_sqlite, opening

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of files are POSIX's")
__all__ = ["anyio_backend"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / FILE_NAME


@pytest.fixture
def store(file: Path) -> SqliteRunStore:
    return open_sqlite(file)


def write(file: Path, data: bytes) -> None:
    """Write a file with the mode that the store demands."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o600)


def content_of(file: Path) -> tuple[bytes, list[Path]]:
    return file.read_bytes(), list(file.parent.iterdir())


def run_sql(file: Path, *statements: str) -> Any:
    """Execute statements, and return the first row of the last one."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        row = [db.execute(statement).fetchone() for statement in statements][-1]
        db.commit()
    return row


# --- its thread


async def test_while_a_disk_hangs_the_queue_is_bounded_and_close_waits(file: Path, store: SqliteRunStore) -> None:
    """A change whose caller has left goes on in the thread; closing the file under it would crash the process."""
    run = await begin(store, opening("q"), "r")
    inside, go_on = threading.Event(), threading.Event()
    refused = 0

    def hang(run: RunRecord, now: float) -> RunRecord:
        inside.set()
        go_on.wait(60)
        return run.end(now=now, run_seconds=None, answer="a")

    async def find() -> None:
        nonlocal refused
        try:
            await store.find("owner", "t")
        except StoreError:
            refused += 1

    async with anyio.create_task_group() as caller:
        caller.start_soon(store.change, run, hang)
        await anyio.to_thread.run_sync(inside.wait)
        caller.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.aclose)
        await anyio.sleep(0.1)
        for _ in range(1_009):  # the queue has room for 1,000, one of them `aclose`
            tasks.start_soon(find)
        await anyio.sleep(0.1)
        go_on.set()
        assert refused == 10
    assert (await found(open_sqlite(file), "r")).answer == "a"


async def test_a_limit_on_threads_is_an_error_and_the_store_works_later(
    store: SqliteRunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StoreError, match="no thread"):
            await claim(store, opening("q"))
    assert isinstance(await claim(store, opening("q")), Granted)


async def leave_a_change_hanging(file: Path) -> None:
    store = SqliteRunStore(file)
    run = await begin(store, opening("q"), "r")

    def hang(run: RunRecord, _: float) -> RunRecord:
        time.sleep(60)
        return run

    with anyio.move_on_after(0.1):
        await store.change(run, hang)


def test_a_process_ends_while_its_disk_hangs(file: Path) -> None:
    script = "import anyio, pathlib, sys; from tests.runs.test_sqlite import leave_a_change_hanging as work"
    run = "anyio.run(work, pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", f"{script}; {run}", str(file)], timeout=30, check=True)


# --- files that it refuses


@posix
async def test_no_other_user_can_read_the_file_or_its_folders(file: Path) -> None:
    nested = file.parent / "a" / "b" / FILE_NAME
    before = os.umask(0)
    try:
        await begin(open_sqlite(nested), opening("q"), "r")
    finally:
        os.umask(before)
    for folder in (nested.parent, nested.parent.parent, file.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(part.stat().st_mode) for part in nested.parent.iterdir()} == {0o600}
    assert len(list(nested.parent.iterdir())) == 3, "the database, its journal, and the index of that"


def of_another_user(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip(reason="only root can give a file away")
    file.touch(0o600)
    os.chown(file, 65534, 65534)


UNSAFE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link": (lambda file: file.symlink_to(file.parent), "symbolic link"),
    "a link to what would be created": (lambda file: file.symlink_to(file.with_name("nothing")), "symbolic link"),
    "readable by others": (lambda file: file.touch(0o644), "chmod 600"),
    "a pipe": (lambda file: os.mkfifo(file, 0o600), "not a regular file|No such device|cannot be used"),
    "a folder": (lambda file: file.mkdir(0o700), "Is a directory|not a regular file"),
    "another user's": (of_another_user, "another user"),
}
"""How the file was made, and what the error says."""


@posix
@pytest.mark.parametrize("expendable", [True, False])
@pytest.mark.parametrize(("make", "reason"), UNSAFE.values(), ids=UNSAFE)
async def test_a_file_that_another_user_can_have_made_is_refused_and_left_as_it_is(
    file: Path, make: Callable[[Path], object], reason: str, expendable: bool
) -> None:
    file.parent.mkdir()
    make(file)

    def parts() -> set[tuple[str, int, int, int]]:
        found = {part.name: part.lstat() for part in file.parent.iterdir()}
        return {(name, each.st_mode, each.st_uid, each.st_size) for name, each in found.items()}

    before = parts()
    with pytest.raises(StoreError, match=reason):
        await claim(open_sqlite(file, expendable=expendable), opening("q"))
    assert parts() == before


FOREIGN: dict[str, tuple[tuple[str, ...], str]] = {
    "a text": ((), "not a database"),
    "another program's": (("CREATE TABLE notes (text)",), "another program"),
    "another version's": (
        ("CREATE TABLE run (key)", "PRAGMA application_id = 0x436F6E74", "PRAGMA user_version = 99"),
        "another version of contit-mcp",
    ),
}
"""The statements that made the database, and what the error says."""


@pytest.mark.parametrize(("statements", "reason"), FOREIGN.values(), ids=FOREIGN)
async def test_a_file_of_another_program_or_version_is_refused_and_left_as_it_is(
    file: Path, statements: tuple[str, ...], reason: str
) -> None:
    """Its user may have mistyped a path; the other version may be using it."""
    write(file, b"" if statements else b"a text of mine\n" * 100)
    if statements:
        run_sql(file, *statements)
    before = content_of(file)
    store = open_sqlite(file)
    for _ in range(2):
        with pytest.raises(StoreError, match=reason):
            await claim(store, opening("q"))
    assert content_of(file) == before


# --- broken files


async def damaged_database(file: Path) -> bytes:
    """Return a database of which only the first page can be read."""
    store = open_sqlite(file)
    for number in range(200):
        await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}")
    await store.aclose()
    whole, _ = content_of(file)
    return whole[:4_096] + os.urandom(len(whole) - 4_096)


@pytest.mark.parametrize("damaged", [False, True], ids=["no database", "a damaged one"])
async def test_all_processes_replace_a_broken_file_by_one_new_file_and_report_it_once(
    file: Path, damaged: bool, logged: io.StringIO
) -> None:
    """The broken file is set aside for a day."""
    write(file, await damaged_database(file) if damaged else os.urandom(8_192))
    processes = [open_sqlite(file, expendable=True) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for number, process in enumerate(processes):
            tasks.start_soon(begin, process, opening(f"new {number}"), f"r{number}")
    for number in range(8):
        for process in processes:
            await found(process, f"r{number}")
    aside = file.with_name(FILE_NAME + ".broken")
    (line,) = [line for line in map(json.loads, logged.getvalue().splitlines()) if line["event"] == "store.set_aside"]
    assert (line["level"], line["moved_to"]) == ("warning", str(aside))
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    os.utime(aside, (0, 0))
    await open_sqlite(file).find("owner", "t")
    assert not aside.exists()


async def test_an_unreadable_row_counts_as_missing_and_is_logged_with_its_key(file: Path, logged: io.StringIO) -> None:
    async def spoil(key: str) -> None:
        run_sql(file, f"UPDATE run SET record = 'odd' WHERE key = '{key}'")

    await check_a_spoilt_record(open_sqlite(file), spoil, logged)


# --- the content of a file


async def test_neither_prompts_nor_answers_past_their_time_are_in_the_file(file: Path, clock: Clock) -> None:
    store = open_sqlite(file, retention=RetentionPolicy(record=100, answer=10), now=clock)
    await complete(store, await begin(store, opening("MARKER"), "r"), "ANSWER-MARKER" * 500)
    clock.at(61)
    await store.find("owner", "t")  # while the file is still open
    assert b"MARKER" not in b"".join(part.read_bytes() for part in file.parent.iterdir())
    clock.at(400)
    await claim(open_sqlite(file, retention=RetentionPolicy(record=100), now=clock), opening("much later"))
    assert run_sql(file, "SELECT count(*) FROM run") == (1,)


async def test_a_file_that_is_removed_while_it_is_open_is_created_again(file: Path) -> None:
    """Otherwise two processes would continue in two files."""
    here = open_sqlite(file)
    await begin(here, opening("q"), "r")
    for part in file.parent.iterdir():
        part.unlink()
    file.parent.rmdir()
    run = await begin(here, opening("q"), "r2")
    assert await open_sqlite(file).find("owner", "t", "r2") == run


async def test_a_locked_file_is_an_error_and_works_again_once_it_is_unlocked(file: Path, store: SqliteRunStore) -> None:
    await begin(store, opening("q"), "r")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            await claim(store, opening("z"))
    assert isinstance(await claim(store, opening("z")), Granted)

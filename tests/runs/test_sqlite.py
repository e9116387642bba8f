"""The store in a file: the contract, and what is particular to files."""

import contextlib
import io
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
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
from tests.runs.steps import Clock, a_store, begin, claim, complete, found, one_record_spoilt, opening

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of files are POSIX's")
__all__ = ["anyio_backend"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / FILE_NAME


@pytest.fixture
def store(file: Path) -> SqliteRunStore:
    return a_store(file)


def write(file: Path, data: bytes) -> None:
    """Put something there, as this program would: for its user alone."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o600)


def content_of(file: Path) -> tuple[bytes, list[Path]]:
    return file.read_bytes(), sorted(file.parent.iterdir())


def run_sql(file: Path, *statements: str) -> Any:
    with contextlib.closing(sqlite3.connect(file)) as db:
        row = [db.execute(statement).fetchone() for statement in statements][-1]
        db.commit()
    return row


# --- its thread


@contextlib.asynccontextmanager
async def held_up(store: SqliteRunStore, run: RunRecord) -> AsyncIterator[threading.Event]:
    """Until the event is set, the store's thread is busy with a change whose caller has left."""
    inside, go_on = threading.Event(), threading.Event()

    def transition(run: RunRecord, now: float) -> RunRecord:
        inside.set()
        go_on.wait(60)
        return run.end(now=now, run_seconds=None, answer="a")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.change, run, transition)
        await anyio.to_thread.run_sync(inside.wait)
        tasks.cancel_scope.cancel()
    try:
        yield go_on
    finally:
        go_on.set()


async def test_closing_lets_an_abandoned_transaction_come_to_its_end(file: Path, store: SqliteRunStore) -> None:
    """Its caller has left, its thread goes on; closing the file under it would crash the process."""
    run = await begin(store, opening("q"), "r")
    async with held_up(store, run) as go_on, anyio.create_task_group() as tasks:
        tasks.start_soon(store.aclose)
        await anyio.sleep(0.1)
        go_on.set()
    assert (await found(a_store(file), "r")).answer == "a"


async def test_behind_a_disk_that_hangs_the_queue_is_bounded(store: SqliteRunStore) -> None:
    run = await begin(store, opening("q"), "r")
    refused = 0

    async def look() -> None:
        nonlocal refused
        try:
            await store.find("owner", "t")
        except StoreError:
            refused += 1

    async with held_up(store, run) as go_on, anyio.create_task_group() as tasks:
        for _ in range(1_010):
            tasks.start_soon(look)
        await anyio.sleep(0.1)
        assert refused == 10
        go_on.set()


async def test_a_limit_on_threads_is_an_error_and_the_store_works_later(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_store(file)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StoreError, match="no thread"):
            await claim(store, opening("q"))
    assert isinstance(await claim(store, opening("q")), Granted)


async def leave_it_hanging(file: Path) -> None:
    """End while the store's thread is in the middle of a change."""
    store = SqliteRunStore(file)
    run = await begin(store, opening("q"), "r")

    def hang(run: RunRecord, _: float) -> RunRecord:
        time.sleep(60)
        return run

    with anyio.move_on_after(0.1):
        await store.change(run, hang)


def test_a_process_ends_while_its_disk_hangs(file: Path) -> None:
    script = "import anyio, pathlib, sys; from tests.runs.test_sqlite import leave_it_hanging as work"
    run = "anyio.run(work, pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", f"{script}; {run}", str(file)], timeout=30, check=True)


# --- whose file


@posix
async def test_nobody_else_can_read_it(file: Path) -> None:
    nested = file.parent / "a" / "b" / FILE_NAME
    before = os.umask(0)
    try:
        await begin(a_store(nested), opening("q"), "r")
    finally:
        os.umask(before)
    for folder in (nested.parent, nested.parent.parent, file.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(part.stat().st_mode) for part in nested.parent.iterdir()} == {0o600}
    assert len(list(nested.parent.iterdir())) == 3  # the journal and its index beside it


def of_another_user(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip(reason="only root can give a file away")
    file.touch(0o600)
    os.chown(file, 65534, 65534)


MADE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link": (lambda file: file.symlink_to(file.parent), "symbolic link"),
    "a link to what would be created": (lambda file: file.symlink_to(file.with_name("nothing")), "symbolic link"),
    "readable by others": (lambda file: file.touch(0o644), "chmod 600"),
    "a pipe": (lambda file: os.mkfifo(file, 0o600), "not a regular file|No such device|cannot be used"),
    "a folder": (lambda file: file.mkdir(0o700), "Is a directory|not a regular file"),
    "another user's": (of_another_user, "another user"),
}


@posix
@pytest.mark.parametrize("expendable", [True, False])
@pytest.mark.parametrize(("make", "reason"), MADE.values(), ids=MADE)
async def test_a_file_that_others_may_have_made_is_refused_and_left_as_it_is(
    file: Path, make: Callable[[Path], object], reason: str, expendable: bool
) -> None:
    file.parent.mkdir()
    make(file)

    def parts() -> set[tuple[str, int, int, int]]:
        found = {part.name: part.lstat() for part in file.parent.iterdir()}
        return {(name, each.st_mode, each.st_uid, each.st_size) for name, each in found.items()}

    before = parts()
    with pytest.raises(StoreError, match=reason):
        await claim(a_store(file, expendable=expendable), opening("q"))
    assert parts() == before


@pytest.mark.parametrize("content", ["a text of mine\n", "another program's database", "another version's"])
async def test_a_file_of_another_program_or_version_is_left_as_it_is(file: Path, content: str) -> None:
    """Its user may have mistyped a path; the other version may be using it."""
    if content.startswith("a text"):
        write(file, content.encode() * 100)
    elif content.startswith("another program"):
        write(file, b"")
        run_sql(file, "CREATE TABLE notes (text)")
    else:
        store = a_store(file)
        await begin(store, opening("q"), "r")
        await store.aclose()
        run_sql(file, "PRAGMA user_version = 99")
    before = content_of(file)
    store = a_store(file)
    for _ in range(2):
        with pytest.raises(StoreError, match="not a database|another program|another version of contit-mcp"):
            await claim(store, opening("q"))
    assert content_of(file) == before


# --- broken files


async def test_a_broken_file_is_set_aside_and_reported_and_a_new_one_begun(file: Path, logged: io.StringIO) -> None:
    write(file, b"this is no database at all" * 100)
    run = await begin(a_store(file, expendable=True), opening("q"), "r")
    assert await a_store(file).find("owner", "t", "r") == run
    aside = file.with_name(FILE_NAME + ".broken")
    (line,) = [line for line in logged.getvalue().splitlines() if "store.set_aside" in line]
    assert aside.name in line
    assert "warning" in line
    assert aside.stat().st_mode & 0o777 == 0o600
    os.utime(aside, (0, 0))
    await a_store(file).find("owner", "t")
    assert not aside.exists()


async def test_a_file_that_breaks_in_use_is_set_aside_too(file: Path, logged: io.StringIO) -> None:
    store = a_store(file, expendable=True)
    for number in range(200):
        await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}")
    await store.aclose()
    write(file, (data := content_of(file)[0])[:4096] + os.urandom(len(data) - 4096))
    assert isinstance(await claim(store, opening("q1")), Granted)
    assert file.with_name(FILE_NAME + ".broken").exists()
    assert logged.getvalue().count("store.set_aside") == 1


async def test_many_processes_that_meet_one_broken_file_end_up_in_one_new_file(file: Path) -> None:
    write(file, os.urandom(8_192))
    stores = [a_store(file, expendable=True) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for number, store in enumerate(stores):
            tasks.start_soon(begin, store, opening(f"q{number}"), f"r{number}")
    for number in range(8):
        for store in stores:
            assert await store.find("owner", "t", f"r{number}"), number


async def test_an_unreadable_row_counts_as_missing_and_is_logged_with_its_key(file: Path, logged: io.StringIO) -> None:
    async def spoil(key: str) -> None:
        run_sql(file, f"UPDATE run SET record = 'odd' WHERE key = '{key}'")

    await one_record_spoilt(a_store(file), spoil, logged)


# --- what happens to files


async def test_neither_prompts_nor_answers_past_their_time_are_in_the_file(file: Path, clock: Clock) -> None:
    store = a_store(file, retention=RetentionPolicy(record=100, answer=10), now=clock)
    await complete(store, await begin(store, opening("MARKER"), "r"), "ANSWER-MARKER" * 500)
    clock.at(61)
    await store.find("owner", "t")  # while the file is still open
    assert b"MARKER" not in b"".join(part.read_bytes() for part in file.parent.iterdir())
    clock.at(400)
    await claim(a_store(file, retention=RetentionPolicy(record=100), now=clock), opening("much later"))
    assert run_sql(file, "SELECT count(*) FROM run") == (1,)


async def test_a_file_that_is_removed_while_it_is_open_is_created_again(file: Path) -> None:
    """Otherwise two processes would continue in two files."""
    here = a_store(file)
    await begin(here, opening("q"), "r")
    for part in file.parent.iterdir():
        part.unlink()
    file.parent.rmdir()
    run = await begin(here, opening("q"), "r2")
    assert await a_store(file).find("owner", "t", "r2") == run


async def test_a_locked_file_is_an_error_in_time_and_works_again(file: Path, store: SqliteRunStore) -> None:
    await begin(store, opening("q"), "r")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            await claim(store, opening("z"))
    assert isinstance(await claim(store, opening("z")), Granted)

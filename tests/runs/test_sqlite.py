"""The store in a file: the contract, and what is particular to files."""

import contextlib
import io
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Deduplicated, Granted
from contit_mcp.runs.record import Phase, RunRecord
from contit_mcp.runs.sqlite import FILE_NAME, SqliteRunStore, inspect_file
from contit_mcp.runs.store import RetentionPolicy, RunStore
from tests.runs import contract
from tests.runs.contract import *  # noqa: F403 - the contract's tests are this module's
from tests.runs.contract import Clock, NewStore, begin, claim, complete, follow_up, found, opening

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of files are POSIX's")


@pytest.fixture
def anyio_backend() -> str:
    """Threads need real time."""
    return "asyncio"


STORES: list[SqliteRunStore] = []


def a_store(file: Path, **options: Any) -> SqliteRunStore:
    """A store that is closed when its test is over: from Python 3.13 on, an open connection is a warning."""
    STORES.append(SqliteRunStore(file, **options))
    return STORES[-1]


@pytest.fixture(autouse=True)
def _closed_in_the_end() -> Iterator[None]:
    yield
    while STORES:
        anyio.run(STORES.pop().aclose)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the store keeps its runs."""
    return tmp_path / "folder" / FILE_NAME


@pytest.fixture
def new_store(file: Path) -> NewStore:
    """Stores in one file."""
    return lambda retention, now: a_store(file, retention=retention, now=now)


class HeldUp:
    """A transition that stays within its transaction until it is let go."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def __call__(self, run: RunRecord, now: float) -> RunRecord:
        """Change the phase."""
        self.inside.set()
        self.go_on.wait(10)
        return replace(run, phase=Phase.FAILED)


@contextlib.asynccontextmanager
async def held_up(store: RunStore, run: RunRecord) -> Any:
    """While inside, the store's thread is busy with a change whose caller has left."""
    transition = HeldUp()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.change(run, transition))
        await anyio.to_thread.run_sync(transition.inside.wait)
        tasks.cancel_scope.cancel()
    try:
        yield transition
    finally:
        transition.go_on.set()


def write(file: Path, data: bytes) -> None:
    """Put something there, as this program would: for its user alone."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o600)


def test_the_whole_contract_is_run_here() -> None:
    """A star import that loses tests would go unseen."""
    assert {name for name in vars(contract) if name.startswith("test_")} <= set(globals())


async def test_two_processes_share_what_they_know(file: Path) -> None:
    here, there = a_store(file), a_store(file)
    run = await begin(here, opening("q"), "r")
    assert await claim(there, opening("q")) == Deduplicated(run)
    ended = await complete(there, run)
    assert await here.find("owner", "t", "r") == ended


async def test_what_was_stored_is_there_after_a_restart(file: Path) -> None:
    first = a_store(file)
    run = await complete(first, await begin(first, opening("q"), "r", title="Bücher ✓"), "è ✓")
    await first.aclose()
    assert await a_store(file).find("owner", "t", "r") == run


# --- its thread


async def test_closing_lets_an_abandoned_transaction_come_to_its_end(file: Path) -> None:
    """Its caller has left, its thread goes on; closing the file under it would crash the process."""
    store = a_store(file)
    run = await begin(store, opening("q"), "r")
    async with held_up(store, run) as transition, anyio.create_task_group() as tasks:
        tasks.start_soon(store.aclose)
        await anyio.sleep(0.1)
        transition.go_on.set()
    assert (await found(a_store(file), "r")).phase is Phase.FAILED


async def test_the_thread_ends_when_the_store_is_closed_and_starts_again_when_it_is_used(file: Path) -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if "run store" in thread.name}

    before = threads()
    store = a_store(file)
    run = await begin(store, opening("q"), "r")
    (own,) = threads() - before
    await store.aclose()
    await store.aclose()
    with anyio.fail_after(10):
        while own.is_alive():
            await anyio.sleep(0.01)
    assert await store.find("owner", "t", "r") == run


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


async def test_behind_a_disk_that_hangs_the_queue_is_bounded(file: Path) -> None:
    store = a_store(file)
    run = await begin(store, opening("q"), "r")
    refused = 0

    async def look() -> None:
        nonlocal refused
        try:
            await store.latest("owner", "t")
        except StoreError:
            refused += 1

    async with held_up(store, run) as transition, anyio.create_task_group() as tasks:
        for _ in range(1_010):
            tasks.start_soon(look)
        await anyio.sleep(0.1)
        assert 5 <= refused <= 10
        transition.go_on.set()


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


def link(file: Path) -> None:
    """A link to a file of the user's."""
    target = file.with_name("target")
    write(target, b"")
    file.symlink_to(target)


def dangling(file: Path) -> None:
    """A link to nothing: what it names would be created."""
    file.symlink_to(file.with_name("nothing"))


def readable(file: Path) -> None:
    """A file that others can read."""
    write(file, b"")
    file.chmod(0o644)


def writable(file: Path) -> None:
    """A file that the group can write."""
    write(file, b"")
    file.chmod(0o620)


def fifo(file: Path) -> None:
    """No regular file; opening it must not hang."""
    os.mkfifo(file, 0o600)


def folder(file: Path) -> None:
    """A folder of that name."""
    file.mkdir(mode=0o700)


def foreign(file: Path) -> None:
    """A file of another user's."""
    if os.geteuid() != 0:
        pytest.skip(reason="only root can give a file away")
    write(file, b"")
    os.chown(file, 65534, 65534)


@posix
@pytest.mark.parametrize("expendable", [True, False])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (link, "symbolic link"),
        (dangling, "symbolic link"),
        (readable, "chmod 600"),
        (writable, "chmod 600"),
        (fifo, "not a regular file|No such device|cannot be used"),
        (folder, "Is a directory|not a regular file"),
        (foreign, "another user"),
    ],
)
async def test_a_file_that_others_may_have_made_is_refused_and_left_as_it_is(
    file: Path, make: Callable[[Path], None], reason: str, expendable: bool
) -> None:
    file.parent.mkdir()
    make(file)
    before = {part.name: part.lstat() for part in file.parent.iterdir()}
    with pytest.raises(StoreError, match=reason):
        await claim(a_store(file, expendable=expendable), opening("q"))
    after = {part.name: part.lstat() for part in file.parent.iterdir()}
    assert {name: (s.st_mode, s.st_uid, s.st_size) for name, s in before.items()} == {
        name: (s.st_mode, s.st_uid, s.st_size) for name, s in after.items()
    }
    with pytest.raises(StoreError, match=reason):
        inspect_file(file)


# --- broken files, and files of others


def scramble(file: Path) -> None:
    """Break all but the first page."""
    data = file.read_bytes()
    write(file, data[:4096] + os.urandom(len(data) - 4096))


async def test_a_broken_file_is_set_aside_and_reported_and_a_new_one_begun(file: Path, logged: io.StringIO) -> None:
    write(file, b"this is no database at all" * 100)
    run = await begin(a_store(file, expendable=True), opening("q"), "r")
    assert await a_store(file).find("owner", "t", "r") == run
    aside = file.with_name(FILE_NAME + ".broken")
    lines = [line for line in logged.getvalue().splitlines() if "store.set_aside" in line]
    assert len(lines) == 1
    assert aside.name in lines[0]
    assert "warning" in lines[0]
    assert aside.stat().st_mode & 0o777 == 0o600
    os.utime(aside, (0, 0))
    await a_store(file).latest("owner", "t")
    assert not aside.exists()


async def test_a_file_that_breaks_in_use_is_set_aside_too(file: Path, logged: io.StringIO) -> None:
    store = a_store(file, expendable=True)
    for number in range(200):
        await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}")
    await store.aclose()
    scramble(file)
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


def fingerprint(file: Path) -> tuple[bytes, list[str]]:
    """The content of a file, and the files beside it."""
    return file.read_bytes(), sorted(part.name for part in file.parent.iterdir())


@pytest.mark.parametrize("content", ["a text of mine\n", "another program's database", "a newer version's"])
async def test_a_file_of_another_program_is_left_as_it_is(file: Path, content: str) -> None:
    """Its user may have mistyped a path."""
    write(file, content.encode() * 100 if content.startswith("a text") else b"")
    if not content.startswith("a text"):
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute("CREATE TABLE notes (text)")
            db.execute(f"PRAGMA user_version = {99 if 'newer' in content else 0}")
            db.commit()
    before = fingerprint(file)
    store = a_store(file)
    for _ in range(2):
        with pytest.raises(StoreError, match="not a database|another program"):
            await claim(store, opening("q"))
    assert fingerprint(file) == before
    with pytest.raises(StoreError, match="not a database|another program"):
        inspect_file(file)


async def test_a_file_of_another_version_is_left_as_it_is(file: Path) -> None:
    """That version may be using it."""
    await begin(a_store(file), opening("q"), "r")
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="another version of contit-mcp"):
        await claim(a_store(file), opening("q"))
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (1,)


async def test_an_unreadable_row_counts_as_missing_and_is_logged_with_its_key(file: Path, logged: io.StringIO) -> None:
    store = a_store(file)
    odd = await begin(store, opening("q"), "r1", thread_id="t1")
    run = await begin(store, opening("z"), "r2", thread_id="t2")
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE run SET cancelled = 'odd' WHERE key = ?", [odd.key])
        db.commit()
    assert await store.find("owner", "t1", "r1") is None
    assert isinstance(await claim(store, opening("q")), Granted)
    assert [each.run_id for each in await store.recent("owner", 10)] == ["r2"]
    assert await store.find("owner", "t2", "r2") == run
    assert odd.key in logged.getvalue()
    assert (await complete(store, odd)).answer == "answer"


async def test_a_word_of_a_newer_version_is_tolerated(file: Path) -> None:
    store = a_store(file)
    run = await begin(store, opening("q"), "r")
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE run SET phase = 'paused', delivery = 'half'")
        db.commit()
    assert (await found(store, "r")).phase is Phase.IN_PROGRESS
    assert (await complete(store, run)).answer == "answer"


# --- what happens to files


async def test_neither_prompts_nor_answers_past_their_time_are_in_the_file(file: Path, clock: Clock) -> None:
    store = a_store(file, retention=RetentionPolicy(record=100, answer=10), now=clock)
    await complete(store, await begin(store, opening("MARKER"), "r"), "ANSWER-MARKER" * 500)
    clock.at(61)
    await store.latest("owner", "t")  # while the file is still open
    assert b"MARKER" not in b"".join(part.read_bytes() for part in file.parent.iterdir())
    clock.at(400)
    await claim(a_store(file, retention=RetentionPolicy(record=100), now=clock), opening("much later"))
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (1,)


async def test_a_file_that_is_removed_while_it_is_open_is_created_again(file: Path) -> None:
    """Otherwise two processes would continue in two files."""
    here = a_store(file)
    await begin(here, opening("q"), "r")
    for part in file.parent.iterdir():
        part.unlink()
    file.parent.rmdir()
    run = await begin(here, opening("q"), "r2")
    assert await a_store(file).find("owner", "t", "r2") == run


async def test_a_file_that_another_process_locks_is_an_error_in_time_and_works_again(file: Path) -> None:
    store = a_store(file)
    await begin(store, opening("q"), "r")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        await claim(store, opening("z"))
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(await claim(store, opening("z")), Granted)


async def test_a_place_where_nothing_can_be_created_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be used") as caught:
        await claim(a_store(tmp_path / "file" / "runs"), follow_up("q"))
    assert "CONTIT_MCP_STORE" in caught.value.hint

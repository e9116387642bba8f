"""The store in a file: the contract, and what is particular to files."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Granted, Joined
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.record import Phase, RunRecord
from contit_mcp.runs.sqlite import SqliteRunStore
from contit_mcp.runs.sqlite_file import FILE_NAME, look_at, open_file
from contit_mcp.runs.store import Change, RetentionPolicy
from tests.runs import contract
from tests.runs.contract import *  # noqa: F403 - the contract's tests are this module's
from tests.runs.contract import T0, NewStore, begin, follow_up, opening

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Threads need real time."""
    return "asyncio"


STORES: list[SqliteRunStore] = []


def a_store(file: Path, **options: Any) -> SqliteRunStore:
    """A store that is closed when its test is over: from Python 3.13 on, a forgotten connection is a warning."""
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
    return lambda retention: a_store(file, retention=retention)


class HeldUp:
    """A change that stays within its transaction until it is let go."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def __call__(self, before: RunRecord) -> RunRecord:
        """Change nothing."""
        self.inside.set()
        self.go_on.wait(10)
        return before


def scramble(file: Path) -> None:
    """Break all but the first page."""
    data = file.read_bytes()
    write(file, data[:4096] + os.urandom(len(data) - 4096))


def write(file: Path, data: bytes) -> None:
    """Put something else there."""
    file.write_bytes(data)


def test_the_whole_contract_is_run_here() -> None:
    """A star import that loses tests would go unseen."""
    assert {name for name in vars(contract) if name.startswith("test_")} <= set(globals())


async def test_two_processes_share_what_they_know(file: Path) -> None:
    """One process's run is the other's too."""
    here, there = RunLedger(a_store(file)), RunLedger(a_store(file))
    run = await begin(here, opening("q"), "r")
    assert await there.claim(opening("q"), now=T0) == Joined(run)
    await there.completed(run, "answer", now=T0 + 1)
    seen = await here.find("owner", "t", "r", now=T0 + 1)
    assert seen is not None
    assert seen.answer == "answer"


async def test_what_was_stored_is_there_after_a_restart(file: Path) -> None:
    """Every field of it."""
    first = a_store(file)
    run = await RunLedger(first).completed(await begin(RunLedger(first), opening("q"), "r"), "è ✓", now=T0 + 1.5)
    await first.aclose()
    assert await RunLedger(a_store(file)).find("owner", "t", "r", now=T0 + 2) == run


async def test_a_store_that_is_closed_lets_an_abandoned_transaction_come_to_its_end(file: Path) -> None:
    """Its caller has gone, its thread has not; closing the file under it crashed the process (seen in a test)."""
    store = a_store(file)
    run = await begin(RunLedger(store), opening("q"), "r")
    inside, go_on = threading.Event(), threading.Event()

    def slowly(before: RunRecord) -> RunRecord:
        inside.set()
        go_on.wait(10)
        return replace(before, phase=Phase.FAILED)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.change(run, slowly, now=T0 + 1))
        await anyio.to_thread.run_sync(inside.wait)
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.aclose)
        await anyio.sleep(0.1)
        go_on.set()
    found = await RunLedger(a_store(file)).find("owner", "t", "r", now=T0 + 2)
    assert found is not None
    assert found.phase is Phase.FAILED


async def test_a_store_whose_thread_hangs_says_that_it_could_not_be_closed(file: Path) -> None:
    """It stays open, which harms less than a crash."""
    store = a_store(file)
    run = await begin(RunLedger(store), opening("q"), "r")
    held_up = HeldUp()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.change(run, held_up, now=T0 + 1))
        await anyio.to_thread.run_sync(held_up.inside.wait)
        tasks.cancel_scope.cancel()
    with pytest.raises(StoreError, match="too slow"):
        await store.aclose()
    held_up.go_on.set()
    await store.aclose()


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
async def test_nobody_else_can_read_it(file: Path) -> None:
    """Answers are content."""
    await begin(RunLedger(a_store(file)), opening("q"), "r")
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert {part.stat().st_mode & 0o777 for part in file.parent.iterdir()} == {0o600}
    assert len(list(file.parent.iterdir())) == 3  # the journal and its index beside it


async def test_neither_prompts_nor_answers_past_their_time_are_in_the_file(file: Path) -> None:
    """Retention is kept on disk, not only in what is given out."""
    store = a_store(file, retention=RetentionPolicy(record=100, answer=10))
    ledger = RunLedger(store)
    await ledger.completed(await begin(ledger, opening("MARKER"), "r"), "ANSWER-MARKER" * 500, now=T0)
    await ledger.latest("owner", "t", now=T0 + 61)  # while the file is still open
    assert b"MARKER" not in b"".join(part.read_bytes() for part in file.parent.iterdir())
    await RunLedger(a_store(file, retention=RetentionPolicy(record=100))).claim(opening("much later"), now=T0 + 400)
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (1,)
    db.close()


async def test_a_broken_file_is_set_aside_and_a_new_one_begun(file: Path) -> None:
    """What it held was worth a day, and this very operation works."""
    file.parent.mkdir()
    with file.open("wb") as stream:
        stream.write(b"this is no database at all" * 100)
    ledger = RunLedger(a_store(file, expendable=True))
    run = await begin(ledger, opening("q"), "r")
    assert await RunLedger(a_store(file)).find("owner", "t", "r", now=T0) == run
    aside = file.with_name(FILE_NAME + ".broken")
    assert aside.stat().st_mode & 0o777 == 0o600
    os.utime(aside, (0, 0))
    await RunLedger(a_store(file)).latest("owner", "t", now=T0)
    assert not aside.exists()


async def test_a_file_that_breaks_while_it_is_open_is_set_aside_too(file: Path) -> None:
    """Not only its header is looked at."""
    store = a_store(file, expendable=True)
    ledger = RunLedger(store)
    for number in range(200):
        await begin(ledger, opening(f"q{number}"), "r", thread_id=f"t{number}")
    await store.aclose()
    scramble(file)
    assert isinstance(await ledger.claim(opening("q1"), now=T0), Granted)
    assert file.with_name(FILE_NAME + ".broken").exists()


async def test_many_processes_that_meet_one_broken_file_end_up_in_one_new_file(file: Path) -> None:
    """None of them moves the other's new one aside."""
    file.parent.mkdir()
    write(file, os.urandom(8_192))
    ledgers = [RunLedger(a_store(file, expendable=True)) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for number, ledger in enumerate(ledgers):
            tasks.start_soon(begin, ledger, opening(f"q{number}"), f"r{number}")
    for number in range(8):
        for ledger in ledgers:
            assert await ledger.find("owner", "t", f"r{number}", now=T0), number


@pytest.mark.parametrize("content", ["a text of mine\n", "another program's database", "a newer version's"])
async def test_a_file_that_is_not_ours_is_left_as_it_is(file: Path, content: str) -> None:
    """Its user may have mistyped a path."""
    file.parent.mkdir()
    if content.startswith("a text"):
        write(file, content.encode() * 100)
    else:
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute("CREATE TABLE notes (text)")
            db.execute(f"PRAGMA user_version = {99 if 'newer' in content else 0}")
            db.commit()
    before = fingerprint(file)
    ledger = RunLedger(a_store(file))
    for _ in range(2):
        with pytest.raises(StoreError, match="not a database|another program"):
            await ledger.claim(opening("q"), now=T0)
    assert fingerprint(file) == before
    with pytest.raises(StoreError, match="not a database|another program"):
        look_at(file)


def fingerprint(file: Path) -> tuple[bytes, list[str]]:
    """What a file holds, and what stands beside it."""
    return file.read_bytes(), sorted(part.name for part in file.parent.iterdir())


async def test_looking_at_a_good_file_changes_nothing(file: Path) -> None:
    """For contit-mcp check."""
    store = a_store(file)
    await begin(RunLedger(store), opening("q"), "r")
    await store.aclose()
    before = fingerprint(file)[0]
    look_at(file)
    assert fingerprint(file)[0] == before


async def test_a_row_that_is_not_understood_is_an_error_of_the_store(file: Path) -> None:
    """And no crash."""
    await begin(RunLedger(a_store(file)), opening("q"), "r")
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE run SET phase = 'odd'")
        db.commit()
    with pytest.raises(StoreError, match="does not understand"):
        await RunLedger(a_store(file)).find("owner", "t", "r", now=T0)


async def test_a_file_that_is_removed_under_our_feet_is_made_again(file: Path) -> None:
    """Else two processes would go on in two files."""
    here = RunLedger(a_store(file))
    await begin(here, opening("q"), "r")
    for part in file.parent.iterdir():
        part.unlink()
    file.parent.rmdir()
    run = await begin(here, opening("q"), "r2")
    assert await RunLedger(a_store(file)).find("owner", "t", "r2", now=T0) == run


async def test_a_file_of_another_version_is_left_alone(file: Path) -> None:
    """Another program may be using it."""
    await begin(RunLedger(a_store(file)), opening("q"), "r")
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="another version of contit-mcp"):
        await RunLedger(a_store(file)).claim(opening("q"), now=T0)
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (1,)
    db.close()


async def test_a_file_that_another_process_locks_is_an_error_in_time_and_works_again(file: Path) -> None:
    """It waits a second."""
    ledger = RunLedger(a_store(file))
    await begin(ledger, opening("q"), "r")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        await ledger.claim(opening("z"), now=T0)
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(await ledger.claim(opening("z"), now=T0), Granted)


async def test_a_place_where_nothing_can_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    """And the setting."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    ledger = RunLedger(a_store(tmp_path / "file" / "runs"))
    with pytest.raises(StoreError, match="cannot be used") as caught:
        await ledger.claim(follow_up("q"), now=T0)
    assert "CONTIT_MCP_STORE" in caught.value.hint


async def test_ten_thousand_runs_leave_a_file_under_20_megabytes(file: Path) -> None:
    """With answers of a common length, 600 characters (design.md, section 3)."""
    store = a_store(file)
    ledger = RunLedger(store)
    for number in range(10_000):
        run = await begin(ledger, opening(f"q{number}"), f"run_{number:020d}", thread_id=f"thread_{number:020d}")
        assert run.phase is Phase.IN_PROGRESS
        await ledger.completed(run, f"{number} " + "word " * 120, now=T0 + 1)
    await store.aclose()
    assert sum(part.stat().st_size for part in file.parent.iterdir()) < 20_000_000


async def until_waiting(store: SqliteRunStore, count: int) -> None:
    """Until so many jobs wait for the thread."""
    with anyio.fail_after(10):
        while store._thread._jobs.qsize() < count:
            await anyio.sleep(0.001)


async def test_what_is_asked_for_at_once_is_done_together_and_one_that_fails_fails_alone(file: Path) -> None:
    """The others are done again without it."""
    store = a_store(file)
    ledger = RunLedger(store)
    runs = [await begin(ledger, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}") for number in range(20)]
    held_up = HeldUp()
    refused: list[str] = []

    async def fail(run: RunRecord) -> None:
        def change(_: RunRecord) -> RunRecord:
            raise LookupError

        with pytest.raises(StoreError, match="does not understand"):
            await store.change(run, change, now=T0 + 1)
        refused.append(run.key)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.change(runs[0], held_up, now=T0 + 1))
        await anyio.to_thread.run_sync(held_up.inside.wait)
        for run in runs[1:]:
            if run is runs[7]:
                tasks.start_soon(fail, run)
            else:
                tasks.start_soon(lambda run: ledger.completed(run, "answer", now=T0 + 1), run)
        await until_waiting(store, 19)
        held_up.go_on.set()
    assert refused == [runs[7].key]
    for number, run in enumerate(runs):
        found = await RunLedger(a_store(file)).find("owner", f"t{number}", f"r{number}", now=T0 + 2)
        assert found is not None
        assert found.ended is (run not in (runs[0], runs[7])), number


async def test_what_waits_together_is_one_transaction(file: Path) -> None:
    """A commit costs more than what is written; a reader elsewhere sees nothing or all of it."""
    store = a_store(file)
    ledger = RunLedger(store)
    runs = [await begin(ledger, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}") for number in range(20)]
    held_up = HeldUp()
    seen: list[int] = []

    def look_from_elsewhere(before: RunRecord) -> RunRecord:
        with contextlib.closing(sqlite3.connect(file)) as db:
            (count,) = db.execute("SELECT count(*) FROM run WHERE phase = 'failed'").fetchone()
        seen.append(count)
        return replace(before, phase=Phase.FAILED)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.change(runs[0], held_up, now=T0 + 1))
        await anyio.to_thread.run_sync(held_up.inside.wait)
        for run in runs[1:]:
            tasks.start_soon(lambda run: store.change(run, look_from_elsewhere, now=T0 + 1), run)
        await until_waiting(store, 19)
        held_up.go_on.set()
    assert seen == [0] * 19


async def test_its_thread_ends_when_the_store_is_closed_and_comes_again_when_it_is_used(file: Path) -> None:
    """Nothing is left behind."""
    store = a_store(file)
    run = await begin(RunLedger(store), opening("q"), "r")
    thread = store._thread._thread
    assert thread is not None
    assert thread.is_alive()
    await store.aclose()
    await store.aclose()
    thread.join(10)
    assert not thread.is_alive()
    assert await RunLedger(store).find("owner", "t", "r", now=T0) == run


async def test_where_the_file_is_the_trouble_those_behind_do_not_try_it_one_after_the_other(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait a second for a locked one; a hundred of them kept the thread for minutes (seen in a review)."""
    store = a_store(file)
    ledger = RunLedger(store)
    runs = [await begin(ledger, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}") for number in range(9)]
    held_up = HeldUp()
    opened: list[Path] = []

    def opening_it(file: Path) -> sqlite3.Connection:
        opened.append(file)
        return open_file(file)

    def fail_and_break_it(_: RunRecord) -> RunRecord:
        for part in file.parent.iterdir():
            part.unlink()
        write(file, b"this is no database at all" * 100)
        raise LookupError

    async def refused(change: Change, run: RunRecord) -> None:
        with pytest.raises(StoreError):
            await store.change(run, change, now=T0 + 1)

    monkeypatch.setattr("contit_mcp.runs.sqlite_thread.open_file", opening_it)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.change(runs[0], held_up, now=T0 + 1))
        await anyio.to_thread.run_sync(held_up.inside.wait)
        for run in runs[1:]:
            tasks.start_soon(refused, fail_and_break_it, run)
        await until_waiting(store, 8)
        held_up.go_on.set()
    assert len(opened) == 1


async def test_where_no_thread_can_be_started_the_store_says_so_and_works_later(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on processes may pass."""
    ledger = RunLedger(a_store(file))

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StoreError, match="no thread"):
            await ledger.claim(opening("q"), now=T0)
    assert isinstance(await ledger.claim(opening("q"), now=T0), Granted)


async def test_behind_a_disk_that_hangs_no_endless_queue_grows(file: Path) -> None:
    """Those who come later are told at once."""
    store = a_store(file)
    run = await begin(RunLedger(store), opening("q"), "r")
    held_up = HeldUp()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.change(run, held_up, now=T0 + 1))
        await anyio.to_thread.run_sync(held_up.inside.wait)
        for _ in range(1_000):
            tasks.start_soon(lambda: store.latest("owner", "t", now=T0 + 1))
        await until_waiting(store, 1_000)
        with pytest.raises(StoreError, match="too slow"):
            await store.latest("owner", "t", now=T0 + 1)
        held_up.go_on.set()

"""What the SQLite store remembers of its file between transactions, and writes at their ends: nobody can tell."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contit_mcp.runs import changes
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.record import Delivery, Failure, Question, RunRecord, intent_to_start
from contit_mcp.runs.sqlite import SqliteRunStore
from contit_mcp.runs.sqlite_thread import Job, SqliteThread, Work
from contit_mcp.runs.store import Change, RetentionPolicy, RunStore

T = TypeVar("T")
T0 = 1_000_000.0
RETENTION = RetentionPolicy(record=300.0, answer=60.0)


class Together(SqliteThread):
    """Does what waits when it is told to, all of it in one transaction, in the thread of the test."""

    def __post_init__(self) -> None:
        self.waiting: list[Job] = []

    async def do(self, work: Work[T], now: float) -> T:
        job = Job(work, now, asyncio.get_running_loop().create_future())
        self.waiting.append(job)
        outcome: asyncio.Future[T] = job.outcome
        return await outcome

    def work(self) -> None:
        """Now."""
        for job, outcome in zip(self.waiting, self._outcomes(self.waiting), strict=True):
            assert not isinstance(outcome, BaseException), outcome
            job.outcome.set_result(outcome)
        self.waiting.clear()


def a_store(file: Path) -> tuple[SqliteRunStore, Together]:
    """One with a connection of its own."""
    store = SqliteRunStore(file, retention=RETENTION)
    thread = Together(file, store._rows, expendable=False)
    thread.__post_init__()
    store._thread = thread
    return store, thread


def asked(intent: RunRecord, now: float) -> Callable[[RunStore], Coroutine[Any, Any, Claim]]:
    """A claim."""
    return lambda store: store.claim(intent, now=now)


def changed(record: RunRecord, change: Change, now: float) -> Callable[[RunStore], Coroutine[Any, Any, RunRecord]]:
    """A change."""
    return lambda store: store.change(record, change, now=now)


async def together(
    store: tuple[SqliteRunStore, Together], *steps: Callable[[RunStore], Coroutine[Any, Any, T]]
) -> list[T]:
    """Do it in one transaction."""
    tasks = [asyncio.create_task(each(store[0])) for each in steps]
    await asyncio.sleep(0)
    store[1].work()
    return await asyncio.gather(*tasks)


QUESTIONS = [Question("o", None, "a"), Question("o", None, "b"), Question("o", "t0", "a"), Question("p", "t0", "b")]


def step(kind: str, which: int, intents: list[RunRecord], now: float) -> Callable[[RunStore], Coroutine[Any, Any, Any]]:
    """What is done to a store; the same for each store that it is done to."""
    if kind == "claim" or not intents:
        question = QUESTIONS[which % len(QUESTIONS)]
        intents.append(intent_to_start(question, delivery=Delivery.AWAITED, holder="h", held_until=now + 20, now=now))
        return asked(intents[-1], now)
    run = intents[which % len(intents)]
    place = which % 3
    done: dict[str, Change] = {
        "started": changes.started(f"t{place}", f"r{run.key}", now=now),
        "held": changes.held("h", until=now + 10, now=now),
        "completed": changes.completed(f"answer {which}", now=now),
        "failed": changes.failed(Failure.RUN_FAILED, now=now),
        "sending": changes.sending("h", until=now + 10, now=now),
        "delivered": changes.delivered(Delivery.DELIVERED, now=now),
        "let go": changes.let_go("h"),
        "unchanged": changes.unchanged,
    }
    if kind in done:
        return changed(run, done[kind], now)
    return {
        "release": lambda store: store.release(run),
        "find": lambda store: store.find(run.question.owner, f"t{place}", f"r{run.key}", now=now),
        "latest": lambda store: store.latest(run.question.owner, f"t{place}", now=now),
    }[kind]


KINDS = [
    "claim", "claim", "started", "started", "held", "completed", "failed", "sending", "delivered", "let go",
    "unchanged", "release", "find", "latest",
]  # fmt: skip
BATCHES = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.floats(0.001, 24.0),  # all in all less than a run is remembered: each connection tidies at its own times
        st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 11)), min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(batches=BATCHES)
def test_two_connections_that_work_in_turns_answer_as_one_that_knows_nothing_would(
    batches: list[tuple[int, float, list[tuple[str, int]]]],
) -> None:
    """Whatever is done together in a transaction, and whatever the other one has written meanwhile (our choice).

    The one that knows nothing reads all anew and writes at once, each step in a transaction of its own.
    """

    async def run(folder: str) -> None:
        stores = [a_store(Path(folder) / "runs") for _ in range(2)]
        plain = a_store(Path(folder) / "plain")
        intents: list[RunRecord] = []
        now = T0
        for which, pause, kinds in batches:
            now += pause
            steps = []
            for kind, number in kinds:
                now += 0.001
                steps.append(step(kind, number, intents, now))
            expected = []
            for each in steps:
                plain[0]._rows.forget()
                expected += await together(plain, each)
            assert await together(stores[which], *steps) == expected
        for _, thread in (plain, *stores):
            thread._close()

    with TemporaryDirectory() as folder:
        anyio.run(run, folder)


@pytest.mark.anyio
async def test_what_is_known_is_not_read_again_and_what_is_written_together_is_few_statements(tmp_path: Path) -> None:
    """Each statement is a fight for Python's lock (docs/performance.md)."""
    store, thread = a_store(tmp_path / "runs")
    questions = [Question("o", None, str(number)) for number in range(40)]
    intents = [
        intent_to_start(question, delivery=Delivery.AWAITED, holder="h", held_until=T0 + 20, now=T0)
        for question in questions
    ]
    claims = await together((store, thread), *[asked(intent, T0) for intent in intents])
    statements: list[str] = []
    assert thread._connection is not None
    thread._connection.set_trace_callback(statements.append)
    start = changes.started("t", "r", now=T0)
    await together((store, thread), *[changed(claim.record, start, T0 + 1) for claim in claims])
    kinds = [statement.split()[0] for statement in statements]
    assert kinds == ["BEGIN", "PRAGMA", "INSERT", "INSERT", "COMMIT"]
    with contextlib.closing(sqlite3.connect(tmp_path / "runs")) as db:
        assert db.execute("SELECT count(*) FROM run WHERE phase = 'in_progress'").fetchone() == (40,)
    thread._close()


@pytest.mark.anyio
async def test_an_answer_that_was_delivered_is_not_held_in_memory_for_the_file(tmp_path: Path) -> None:
    """It would outlive its time there (design.md, section 3)."""
    store, thread = a_store(tmp_path / "runs")
    record = intent_to_start(QUESTIONS[0], delivery=Delivery.AWAITED, holder="h", held_until=T0 + 20, now=T0)
    for change in (
        changes.started("t", "r", now=T0),
        changes.completed("answer", now=T0),
        changes.delivered(Delivery.DELIVERED, now=T0),
    ):
        (record,) = await together((store, thread), changed(record, change, T0))
    assert record.answer == "answer"
    assert store._rows._known == {}
    thread._close()

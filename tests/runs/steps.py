"""The steps by which tests move a run through a store."""

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contit_mcp.runs.claims import POLL_LEASE_SECONDS, Claim, Granted
from contit_mcp.runs.record import Delivery, Failure, Question, RunRecord, intent_to_start
from contit_mcp.runs.sqlite import SqliteRunStore
from contit_mcp.runs.store import RetentionPolicy, RunStore

T0 = 1_700_000_000.0
OPENED: list[SqliteRunStore] = []


@dataclass
class Clock:
    """The clock of one process, set by the test."""

    time: float = T0

    def __call__(self) -> float:
        return self.time

    def at(self, seconds: float) -> None:
        self.time = T0 + seconds


NewStore = Callable[[RetentionPolicy, Callable[[], float]], RunStore]


def opening(prompt: str, owner: str = "owner") -> Question:
    return Question.of(owner, None, prompt)


def follow_up(prompt: str, thread_id: str = "t", owner: str = "owner") -> Question:
    return Question.of(owner, thread_id, prompt)


def open_sqlite(file: Path, **options: Any) -> SqliteRunStore:
    """Return a store that is closed after the test: from Python 3.13 on, an open connection is a warning."""
    OPENED.append(SqliteRunStore(file, **options))
    return OPENED[-1]


async def claim(store: RunStore, question: Question, *, title: str | None = None) -> Claim:
    intent = intent_to_start(question, delivery=Delivery.OWED, process="p", now=store.now(), title=title)
    return await store.claim(intent)


async def start(store: RunStore, intent: RunRecord, run_id: str, thread_id: str = "t") -> RunRecord:
    return await store.change(
        intent,
        lambda run, now: run.started(thread_id, run_id, now=now).leased_to("p", seconds=POLL_LEASE_SECONDS, now=now),
    )


async def begin(
    store: RunStore, question: Question, run_id: str, *, thread_id: str = "t", title: str | None = None
) -> RunRecord:
    granted = await claim(store, question, title=title)
    assert isinstance(granted, Granted)
    return await start(store, granted.record, run_id, thread_id)


async def complete(store: RunStore, run: RunRecord, answer: str = "answer") -> RunRecord:
    return await store.change(run, lambda run, now: run.end(now=now, run_seconds=5.0, answer=answer))


async def fail(store: RunStore, run: RunRecord, failure: Failure = Failure.RUN_FAILED) -> RunRecord:
    return await store.change(run, lambda run, now: run.end(now=now, run_seconds=5.0, failure=failure))


async def found(store: RunStore, run_id: str, thread_id: str = "t", owner: str = "owner") -> RunRecord:
    run = await store.find(owner, thread_id, run_id)
    assert run is not None
    return run


async def check_a_spoilt_record(store: RunStore, spoil: Callable[[str], Awaitable[None]], logged: io.StringIO) -> None:
    """Check that a record which `spoil` makes unreadable, by its key, counts as missing and is logged."""
    spoilt = await begin(store, opening("q"), "r1", thread_id="t1")
    readable = await begin(store, opening("z"), "r2", thread_id="t2")
    await spoil(spoilt.key)
    assert await store.find("owner", "t1", "r1") is None
    assert spoilt.key in logged.getvalue()
    assert await store.recent("owner", 10) == [readable]
    assert await store.find("owner", "t2", "r2") == readable
    assert isinstance(await claim(store, opening("q")), Granted)
    assert (await complete(store, spoilt)).answer == "answer"

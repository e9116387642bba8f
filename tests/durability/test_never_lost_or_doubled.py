"""In any order of calls, crashes and faults no answer is lost or swapped, and no run is doubled.

`history` lists the exceptions. The first is a window: a process dies, or gives up, between sending a start and storing
its ids, and a retry starts the question again and says so. tests/runs/test_between_processes.py has deterministic
tests of it. To try other orders: derandomize=False, more examples, and --hypothesis-seed.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.sqlite import SqliteRunStore
from contit_mcp.runs.store import RunStore
from tests.durability.any_order import COUNTS, AnyOrder
from tests.durability.history import HIT_WINDOW, WARNED
from tests.durability.world import RETENTION
from tests.stage import wall_clock

pytestmark = pytest.mark.no_cover  # coverage would double the time, and the lines are covered elsewhere
T = TypeVar("T")


def try_orders(machine: type[AnyOrder], examples: int) -> Counter[str]:
    """Try so many orders, each of up to 40 steps; return how often each event of the history happened."""
    COUNTS.clear()
    orders = settings(
        max_examples=examples, stateful_step_count=40, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=orders)
    return Counter(COUNTS)


def test_two_processes_on_one_store_lose_double_and_swap_nothing() -> None:
    counts = try_orders(AnyOrder, 300)
    assert counts[HIT_WINDOW] > 0, "no order led into the window"
    assert counts[WARNED] > 0


class Inline(Executor):
    """Works in the thread of the event loop, because the virtual clock would outrun any other thread."""

    def submit(self, work: Callable[..., T], /, *arguments: Any, **named: Any) -> "Future[T]":
        done: Future[T] = Future()
        try:
            done.set_result(work(*arguments, **named))
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            done.set_exception(error)
        return done


def test_two_processes_on_one_sqlite_file_lose_double_and_swap_nothing(tmp_path: Path) -> None:
    files = iter(tmp_path / str(number) for number in range(10_000))

    class OnSqlite(AnyOrder):
        def connect(self) -> RunStore:
            if not hasattr(self, "file"):
                self.file = next(files)
            return SqliteRunStore(self.file, retention=RETENTION, now=wall_clock, executor=Inline())

    assert try_orders(OnSqlite, 80)[HIT_WINDOW] > 0


class StoreThatFails(AnyOrder):
    """One process that lives, and a store that goes and comes back, also slow or empty."""

    processes = 1
    may_crash = False
    emptied_at = 0.0

    @rule()
    def store_goes(self) -> None:
        self.world.shared.down = True

    @rule(empty=st.booleans())
    def store_comes_back(self, empty: bool) -> None:
        """A store that is emptied twice within one claim is beyond what is promised."""
        self.world.shared.down = False
        if empty and self.world.now > self.emptied_at + 10.0:
            self.emptied_at = self.world.now
            self.kept = MemoryRunStore(retention=RETENTION, now=wall_clock)
            for process in self.world.running.values():
                process.store.connection = None

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.7, 1.5, 5.0]))
    def store_is_slow(self, seconds: float) -> None:
        self.world.shared.seconds = seconds


def test_one_process_loses_doubles_and_swaps_nothing_when_its_store_fails() -> None:
    """Memory has a copy of every run that the process uses (docs/architecture.md)."""
    assert try_orders(StoreThatFails, 250)["StartUnknownError"] > 0


class TwoProcessesAndAStoreThatFails(StoreThatFails):
    """Both can crash, and have their own memory: while the store is down they know nothing of each other."""

    processes = 2
    may_crash = True
    strict = False


def test_when_the_store_of_two_processes_fails_no_call_fails_and_no_owner_sees_another_ones_run() -> None:
    """Nor is an answer of another thread returned (docs/architecture.md); a question may run twice then."""
    assert try_orders(TwoProcessesAndAStoreThatFails, 120)

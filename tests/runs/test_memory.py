"""The store of one process."""

import pytest

from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Failure
from contit_mcp.runs.store import RetentionPolicy
from tests.runs import contract
from tests.runs.contract import *  # noqa: F403 - the contract's tests are this module's
from tests.runs.contract import T0, NewStore, begin, opening

pytestmark = pytest.mark.anyio


@pytest.fixture
def new_store() -> NewStore:
    """Stores in memory."""
    return lambda retention: MemoryRunStore(retention=retention)


def test_the_whole_contract_is_run_here() -> None:
    """A star import that loses tests would go unseen (our choice)."""
    tests = [name for name in vars(contract) if name.startswith("test_")]
    assert len(tests) >= 16
    assert set(tests) <= set(globals())


async def test_beyond_its_capacity_the_oldest_ended_runs_go_and_none_in_flight() -> None:
    """Memory is bounded, a run in flight is never lost (our choice)."""
    store = RunLedger(MemoryRunStore(retention=RetentionPolicy(), capacity=3))
    in_flight = await begin(store, opening("in flight"), "r", thread_id="in flight")
    for number in range(6):
        run = await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}", now=T0 + number)
        await store.failed(run, Failure.RUN_FAILED, now=T0 + number)
    await store.claim(opening("one more"), now=T0 + 10)
    assert await store.find("owner", "in flight", "r", now=T0 + 10) == in_flight
    left = [number for number in range(6) if await store.find("owner", f"t{number}", "r", now=T0 + 10)]
    assert left == [5]  # beside the one in flight and the newest intent


async def test_beyond_its_capacity_starts_that_died_go_too() -> None:
    """A long outage of Contit leaves many behind (our choice)."""
    kept = MemoryRunStore(capacity=3)
    store = RunLedger(kept)
    for number in range(50):
        await store.claim(opening(f"q{number}"), now=T0 + number * 30)
    assert len(vars(kept)["_records"]) <= 5


async def test_an_intent_is_kept_however_the_clock_jumps() -> None:
    """Its ids are still to come (our choice)."""
    store = RunLedger(MemoryRunStore())
    claim = await store.claim(opening("q"), now=T0)
    await store.claim(opening("other"), now=T0 + 1e6)
    run = await store.started(claim.record, "t", "r", now=T0 + 1e6)
    assert await store.find("owner", "t", "r", now=T0 + 1e6) == run


async def test_forgotten_runs_leave_nothing_behind() -> None:
    """No index outlives its runs (our choice)."""
    kept = MemoryRunStore()
    store = RunLedger(kept)
    for number in range(50):
        run = await begin(store, opening(f"q{number}"), "r", thread_id=f"t{number}", now=T0)
        await store.completed(run, "a", now=T0)
    await store.latest("owner", "t0", now=T0 + 90_000)
    assert [len(part) for part in vars(kept).values() if hasattr(part, "__len__")] == [0, 0, 0]
    await kept.aclose()

"""A store that fails, and what goes on in its place."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
import structlog.testing

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Busy, Granted, Joined
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Delivery, Failure
from contit_mcp.runs.resilient import ResiliencePolicy, ResilientRunStore
from contit_mcp.runs.store import RunStore, StoreGoneError
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.runs import contract
from tests.runs.contract import *  # noqa: F403 - the contract holds behind it too
from tests.runs.contract import T0, NewStore, begin, follow_up, opening

pytestmark = pytest.mark.anyio


@dataclass
class Server:
    """A shared store that can be down, slow, or emptied; several processes can stand before it."""

    shared: MemoryRunStore = field(default_factory=MemoryRunStore)
    down: bool = False
    seconds: float = 0.0
    asked: int = 0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def operation(*arguments: Any, **named: Any) -> Any:
            self.asked += 1
            await anyio.sleep(self.seconds)
            if self.down:
                raise StoreError("The server is down.", hint="Start it.")
            return await getattr(self.shared, name)(*arguments, **named)

        return operation


def process(server: Server) -> RunLedger:
    """One process before the server."""
    return RunLedger(ResilientRunStore(cast("RunStore", server), MemoryRunStore()))


@pytest.fixture
def new_store() -> NewStore:
    """Stores behind it that work."""
    return lambda retention: ResilientRunStore(MemoryRunStore(retention=retention), MemoryRunStore(retention=retention))


def test_the_whole_contract_is_run_here() -> None:
    """A star import that loses tests would go unseen (our choice)."""
    assert {name for name in vars(contract) if name.startswith("test_")} <= set(globals())


async def test_while_it_is_down_memory_decides_and_the_log_says_so_once() -> None:
    """With a counter in the call's line (our choice)."""
    server = Server(down=True)
    ledger = process(server)
    stats = start_call_stats()
    with structlog.testing.capture_logs() as logs:
        run = await begin(ledger, opening("q"), "r")
        assert await ledger.claim(opening("q"), now=T0) == Joined(run)
        assert isinstance(await ledger.claim(follow_up("z"), now=T0), Busy)
        ended = await ledger.completed(run, "a", now=T0 + 1)
        assert await ledger.find("owner", "t", "r", now=T0 + 1) == ended
        assert await ledger.latest("owner", "t", now=T0 + 1) == ended
    assert [(log["event"], log["log_level"], log["meanwhile"]) for log in logs] == [
        ("store.unusable", "warning", "memory")
    ]
    assert server.asked == 1  # and then not again for five seconds
    assert stats.store_errors == 1


async def test_when_it_is_back_it_is_told_what_it_missed() -> None:
    """Others see it then (our choice)."""
    server = Server()
    here, there = process(server), process(server)
    run = await begin(here, opening("before"), "r0", thread_id="t0")
    server.down = True
    await here.completed(run, "answer", now=T0 + 1)
    later = await begin(here, opening("meanwhile"), "r1", thread_id="t1")
    await anyio.sleep(6)
    server.down = False
    with structlog.testing.capture_logs() as logs:
        await here.latest("owner", "t1", now=T0 + 10)
    assert [log["event"] for log in logs] == ["store.back"]
    seen = await there.find("owner", "t0", "r0", now=T0 + 10)
    assert seen is not None
    assert seen.answer == "answer"
    assert await there.claim(opening("meanwhile"), now=T0 + 10) == Joined(later)


async def test_one_that_comes_back_empty_is_filled_with_what_this_process_knows() -> None:
    """Even where nobody saw it go (our choice)."""
    server = Server()
    here, there = process(server), process(server)
    run = await begin(here, opening("q"), "r")
    server.shared = MemoryRunStore()
    claim = await here.claim(opening("q"), now=T0 + 1)
    assert claim == Joined(run)
    assert await there.claim(opening("q"), now=T0 + 1) == Joined(run)
    assert isinstance(await there.claim(follow_up("z"), now=T0 + 1), Busy)


async def test_answers_outlive_a_store_that_lost_them() -> None:
    """The process that saw them keeps them too (our choice)."""
    server = Server()
    here = process(server)
    ended = await here.completed(await begin(here, opening("q"), "r"), "answer", now=T0 + 1)
    server.shared = MemoryRunStore()
    assert await here.find("owner", "t", "r", now=T0 + 2) == ended
    assert await here.latest("owner", "t", now=T0 + 2) == ended
    assert await here.claim(opening("q"), now=T0 + 2) == Joined(ended)


async def test_an_end_that_others_saw_meanwhile_stays() -> None:
    """The first end is the run's own (our choice)."""
    server = Server()
    here, there = process(server), process(server)
    run = await begin(here, opening("q"), "r")
    server.down = True
    await here.failed(run, Failure.NO_END_SEEN, now=T0 + 2)
    server.down = False
    await there.completed(run, "answer", now=T0 + 1)
    await anyio.sleep(6)
    await here.delivered(run, Delivery.DELIVERED, now=T0 + 10)
    for ledger in (here, there):
        seen = await ledger.find("owner", "t", "r", now=T0 + 10)
        assert seen is not None
        assert seen.answer == "answer"


async def test_what_others_finished_does_not_stand_in_the_way_of_the_next_question() -> None:
    """What this process remembers of it is older than what the store knows (our choice)."""
    server = Server()
    here, there = process(server), process(server)
    run = await begin(here, opening("q"), "r")
    ended = await there.completed(run, "answer", now=T0 + 1)
    await there.delivered(ended, Delivery.DELIVERED, now=T0 + 1)
    assert isinstance(await here.claim(follow_up("z"), now=T0 + 2), Granted)


async def test_a_slow_store_costs_its_patience_once_and_not_each_call() -> None:
    """Two seconds, then five without asking (our choice)."""
    server = Server(seconds=60)
    ledger = process(server)
    began = anyio.current_time()
    run = await begin(ledger, opening("q"), "r")
    assert anyio.current_time() - began == pytest.approx(2)
    await ledger.completed(run, "a", now=T0)
    assert anyio.current_time() - began == pytest.approx(2)
    await anyio.sleep(5)
    assert await ledger.latest("owner", "t", now=T0)
    assert anyio.current_time() - began == pytest.approx(9)


async def test_while_one_call_tries_it_again_the_others_do_not_wait() -> None:
    """A hundred calls must not all pay for it (our choice)."""
    server = Server(down=True)
    ledger = process(server)
    await begin(ledger, opening("q"), "r")
    server.seconds = 60
    await anyio.sleep(5)
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: ledger.latest("owner", "t", now=T0))
        await anyio.lowlevel.checkpoint()
        for _ in range(100):
            await ledger.latest("owner", "t", now=T0)
        assert anyio.current_time() == began


async def test_an_intent_is_given_back_where_it_was_made() -> None:
    """Also when the store went down in between: there it ends by itself (our choice)."""
    server = Server()
    ledger = process(server)
    claim = await ledger.claim(opening("q"), now=T0)
    server.down = True
    await ledger.release(claim.record)
    assert isinstance(await ledger.claim(opening("q"), now=T0 + 1), Granted)


async def test_what_it_missed_is_told_to_it_at_the_end() -> None:
    """Else the next process would start the same question again (our choice)."""
    server = Server(down=True)
    store = ResilientRunStore(cast("RunStore", server), MemoryRunStore())
    run = await begin(RunLedger(store), opening("q"), "r")
    server.down = False
    await store.aclose()
    assert await process(server).claim(opening("q"), now=T0) == Joined(run)


async def test_a_crowd_waits_its_turn_and_is_not_taken_for_slowness() -> None:
    """A thousand operations of 10 ms at five a time take two seconds and more (our choice)."""
    server = Server(seconds=0.01)
    store = ResilientRunStore(cast("RunStore", server), MemoryRunStore(), at_once=2)
    async with anyio.create_task_group() as tasks:
        for number in range(1_000):
            tasks.start_soon(begin, RunLedger(store), opening(f"q{number}"), "r")
    assert server.asked == 2_000
    assert len([run for run in vars(server.shared)["_records"].values() if run.run_id]) == 1_000


async def test_closing_never_fails_and_never_hangs() -> None:
    """The process is leaving anyway (our choice)."""
    policy = ResiliencePolicy(patience=1.0)
    for server in (Server(down=True), Server(seconds=1e6), Server()):
        with anyio.fail_after(2):
            await ResilientRunStore(cast("RunStore", server), MemoryRunStore(), policy=policy).aclose()


@dataclass
class Restarting(Server):
    """One that is gone for some seconds, and says so as a closed port does."""

    back_at: float = 0.0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def operation(*arguments: Any, **named: Any) -> Any:
            self.asked += 1
            if anyio.current_time() < self.back_at:
                raise StoreGoneError("Nobody is there.", hint="Start it.")
            return await getattr(self.shared, name)(*arguments, **named)

        return operation


async def test_a_store_that_restarts_is_waited_for_so_that_replicas_do_not_decide_alone() -> None:
    """Each would have started the question of the other (seen; our choice)."""
    server = Restarting()
    here, there = process(server), process(server)
    server.back_at = anyio.current_time() + 4
    with structlog.testing.capture_logs() as logs:
        run = await begin(here, opening("q"), "r")
        assert await there.claim(opening("q"), now=T0 + 1) == Joined(run)
    assert not logs


async def test_one_that_stays_away_costs_the_wait_once() -> None:
    """After that memory decides at once, also where it is tried again (our choice)."""
    server = Restarting(back_at=1e9)
    here = process(server)
    began = anyio.current_time()
    await begin(here, opening("q"), "r")
    assert 5 <= anyio.current_time() - began < 5.3
    await anyio.sleep(6)
    began = anyio.current_time()
    assert isinstance(await here.claim(opening("q"), now=T0 + 12), Joined)
    assert anyio.current_time() - began < 0.1


async def test_a_process_that_is_leaving_waits_for_no_restart() -> None:
    """Nor goes on waiting: its callers would leave with nothing (design, section 9)."""
    server, leaving = Restarting(back_at=math.inf), anyio.Event()
    store = ResilientRunStore(cast("RunStore", server), MemoryRunStore(), closing=leaving.is_set)
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(begin, RunLedger(store), opening("q"), "r")
        await anyio.sleep(1)
        leaving.set()
    assert anyio.current_time() - began == pytest.approx(1, abs=0.2)

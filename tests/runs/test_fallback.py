"""The circuit breaker: a store that fails, hangs, loses what it had, or comes back under load."""

import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import pytest

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Busy, Claim, Deduplicated, Granted
from contit_mcp.runs.fallback import OPERATION_SECONDS, PAUSE_SECONDS, SLOW_SECONDS, SPEED_ROW, FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import START_LEASE_SECONDS, RunRecord
from contit_mcp.runs.store import RunStore
from contit_mcp.telemetry.call_stats import NULL_LISTENER, Listener, start_call_stats
from contit_mcp.telemetry.metrics import Metrics
from tests.children import samples
from tests.runs.steps import Clock, begin, claim, complete, follow_up, found, opening
from tests.stage import OWNER, wall_clock

pytestmark = pytest.mark.anyio


@dataclass
class Server:
    """A shared store that can be down, slow, or replaced by an empty one; several processes can use it."""

    shared: MemoryRunStore = field(default_factory=lambda: MemoryRunStore(now=wall_clock))
    down: bool = False
    seconds: float = 0.0
    operations: int = 0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def operation(*arguments: Any, **named: Any) -> Any:
            self.operations += 1
            for _ in range(5):  # as many turns of the event loop as a round trip takes
                await anyio.sleep(self.seconds / 5)
            if self.down:
                raise StoreError("The server is down.", hint="Start it.")
            return await getattr(self.shared, name)(*arguments, **named)

        return operation

    def now(self) -> float:
        return wall_clock()


def process(server: Server, listener: Listener = NULL_LISTENER) -> FallbackRunStore:
    """Return what one process has: the shared store, and a memory of its own."""
    return FallbackRunStore(cast("RunStore", server), MemoryRunStore(now=wall_clock), listener=listener)


def warnings(logged: io.StringIO) -> list[str]:
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    return [line["event"] for line in lines if line["level"] == "warning"]


async def end_outage(server: Server, store: RunStore) -> None:
    """Let the server work again, and wait until this process uses it."""
    server.down = False
    await anyio.sleep(PAUSE_SECONDS)
    await store.find("nobody", "t")


async def test_while_the_store_is_down_memory_decides_and_the_log_says_so_once(logged: io.StringIO) -> None:
    server = Server(down=True)
    store, stats = process(server), start_call_stats()
    run = await begin(store, opening("q"), "r")
    assert await claim(store, opening("q")) == Deduplicated(run)
    assert isinstance(await claim(store, follow_up("z")), Busy)
    ended = await complete(store, run)
    assert await store.find("owner", "t", "r") == ended
    assert await store.find("owner", "t") == ended
    assert [each.run_id for each in await store.recent("owner", 5)] == ["r"]
    assert warnings(logged) == ["store.unusable"]
    assert "The server is down." in logged.getvalue()
    assert (server.operations, stats.events["store_error"]) == (1, 1)


async def test_a_run_that_changed_in_the_outage_is_stored_again_when_it_is_next_used() -> None:
    server = Server()
    here, there = process(server), process(server)
    run = await begin(here, opening("before"), "r0", thread_id="t0")
    server.down = True
    await complete(here, run)
    later = await begin(here, opening("meanwhile"), "r1", thread_id="t1")
    await end_outage(server, here)
    for each in (run, later):
        await here.change(each, lambda run, _: run.owed())
    assert (await found(there, "r0", "t0")).answer == "answer"
    assert await claim(there, opening("meanwhile")) == Deduplicated(later)


async def test_an_end_that_others_have_stored_meanwhile_stays() -> None:
    server = Server()
    here, there = process(server), process(server)
    run = await begin(here, opening("q"), "r")
    server.down = True
    await complete(here, run, "of here")
    server.down = False
    await complete(there, run, "of there")
    await end_outage(server, here)
    assert (await here.change(run, lambda run, _: run.delivered())).answer == "of there"
    assert (await found(there, "r")).answer == "of there"


async def test_while_a_slow_store_comes_back_only_one_start_of_a_question_is_granted() -> None:
    """One claim tries the store; until it has answered, memory decides the other."""
    server = Server(down=True)
    store, claims = process(server), list[Claim]()
    await claim(store, opening("before"))
    server.down, server.seconds = False, 1.0
    await anyio.sleep(PAUSE_SECONDS)

    async def ask() -> None:
        claims.append(await claim(store, opening("q")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
    granted, deduplicated = claims
    assert (type(granted), deduplicated) == (Granted, Deduplicated(granted.record))
    assert await claim(store, opening("q")) == deduplicated


async def test_an_answer_that_is_older_than_a_run_of_another_process_on_the_thread_is_not_returned() -> None:
    server = Server()
    here, there = process(server), process(server)
    await complete(here, await begin(here, follow_up("p"), "r1"))
    await complete(there, await begin(there, follow_up("q"), "r2"))
    assert isinstance(await claim(here, follow_up("p")), Granted)


async def test_a_store_that_lost_its_runs_gets_those_in_flight_before_it_grants_another() -> None:
    server = Server()
    here, there = process(server), process(server)
    run = await begin(here, opening("q"), "r")
    server.shared = MemoryRunStore(now=wall_clock)
    assert await claim(here, opening("q")) == Deduplicated(run)
    assert await claim(there, opening("q")) == Deduplicated(run)
    assert isinstance(await claim(there, follow_up("z")), Busy)


@pytest.mark.parametrize("pause", [0, 86_500], ids=["store-knows-the-run", "store-forgot-the-run"])
async def test_a_run_that_ended_elsewhere_neither_blocks_a_retry_nor_hides_that_its_earlier_start_died(
    clock: Clock, pause: float
) -> None:
    """The memory of the process that retries still has the thread's earlier run in flight."""
    shared = MemoryRunStore(now=clock)
    here, there = (FallbackRunStore(shared, MemoryRunStore(now=clock)) for _ in range(2))
    run = await begin(here, opening("q"), "r")
    await complete(there, run)
    clock.at(pause)
    await claim(there, follow_up("z"))
    clock.at(pause + 60)
    retry = await claim(here, follow_up("z"))
    assert retry == Granted(retry.record, interrupted=True)


async def test_a_grant_after_an_outage_says_that_a_start_died_in_it() -> None:
    """Only memory knows of that start."""
    server = Server(down=True)
    store = process(server)
    await claim(store, opening("q"))
    await anyio.sleep(START_LEASE_SECONDS)
    await end_outage(server, store)
    retry = await claim(store, opening("q"))
    assert retry == Granted(retry.record, interrupted=True)


async def test_a_reading_that_comes_late_undoes_no_end_that_memory_knows() -> None:
    """Otherwise the run would be polled again during an outage, and bound to a later run's answer."""
    server = Server(seconds=0.5)
    store = process(server)
    run = await begin(store, opening("q"), "r")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found, store, "r")
        await anyio.sleep(0.4)
        server.seconds = 0.0
        await complete(store, run)
    server.down = True
    assert (await found(store, "r")).answer == "answer"


async def test_a_store_that_hangs_costs_two_seconds_and_then_one_operation_at_a_time(logged: io.StringIO) -> None:
    server = Server(seconds=1e6)
    store = process(server)
    began = anyio.current_time()
    runs: list[RunRecord] = []

    async def ask(number: int) -> None:
        runs.append(await begin(store, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(ask, number)
    assert len(runs) == 300
    assert anyio.current_time() - began == pytest.approx(OPERATION_SECONDS, abs=0.01)
    assert server.operations <= 30
    await anyio.sleep(PAUSE_SECONDS)
    before, began = server.operations, anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for number in range(300, 600):
            tasks.start_soon(ask, number)
    assert anyio.current_time() - began <= OPERATION_SECONDS + 0.01
    assert server.operations == before + 1
    assert warnings(logged) == ["store.unusable"]


async def test_an_answer_that_memory_has_dropped_is_read_from_the_store() -> None:
    server = Server()
    store = FallbackRunStore(cast("RunStore", server), MemoryRunStore(answer_characters=500, now=wall_clock))
    for number in range(5):
        run = await begin(store, opening(f"q{number}"), f"r{number}", thread_id=f"t{number}")
        await complete(store, run, f"{number}" * 400)
    for number in range(5):
        run = await found(store, f"r{number}", f"t{number}")
        assert run.answer == f"{number}" * 400


SPEEDS: dict[str, tuple[list[float], list[str]]] = {
    "fast": ([0.01] * 50, []),
    "slow": ([0.3] * 50, ["store.slow"]),
    "just below slow": ([SLOW_SECONDS - 0.01] * 50, []),
    "slow once in a while": (([0.01] * 4 + [1.5]) * 10, []),
    "slow, then fast": ([0.3] * 20 + [0.01] * 120, ["store.slow", "store.fast"]),
    "fast once in a while": (([0.3] * 4 + [0.01]) * 10, []),
    "slow, at times unusable, then fast": (
        ([0.3] * 6 + [9.0]) * 4 + [0.01] * 120,
        ["store.slow", "store.unusable", "store.back", "store.fast"],
    ),
}
"""The seconds of each operation, and the events that are logged."""


@pytest.mark.parametrize(("operations", "events"), SPEEDS.values(), ids=SPEEDS)
async def test_each_new_state_is_logged_once(operations: list[float], events: list[str], logged: io.StringIO) -> None:
    """Neither a single slow operation nor a single fast one changes the state."""
    server, metrics = Server(), Metrics()
    store = process(server, metrics)
    for server.seconds in operations:
        await store.find(OWNER, "t")
        if server.seconds > OPERATION_SECONDS:
            await anyio.sleep(PAUSE_SECONDS)
    assert warnings(logged) == events
    shown = samples(metrics.text("text/plain")[0].decode())
    assert (shown["contit_mcp_store_usable"], shown["contit_mcp_store_slow"]) == (1, events == ["store.slow"])


async def test_operations_that_a_pause_of_this_process_delays_together_make_no_slow_store(logged: io.StringIO) -> None:
    server = Server(seconds=0.9)
    store = process(server)
    async with anyio.create_task_group() as tasks:
        for number in range(SPEED_ROW * 4):
            tasks.start_soon(store.find, OWNER, f"t{number}")
    assert warnings(logged) == []

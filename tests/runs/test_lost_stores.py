"""A store that loses what it had, or whose answers come late: what a process knows itself stays true."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import pytest

from contit_mcp.errors import StoreError
from contit_mcp.runs.claims import Joined
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import RunRecord
from contit_mcp.runs.resilient import ResilientRunStore
from contit_mcp.runs.store import RunStore
from tests.echo_contit import EchoContit, answer_to
from tests.runs.contract import T0, begin, opening
from tests.stage import OWNER, set_stage

pytestmark = pytest.mark.anyio


@dataclass
class Server:
    """A shared store that can be down or emptied, and slow.

    Attributes:
        ways: By operation, the seconds there and back of the next ones.
    """

    shared: MemoryRunStore = field(default_factory=MemoryRunStore)
    down: bool = False
    ways: defaultdict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def operation(*arguments: Any, **named: Any) -> Any:
            there, back = self.ways[name].pop(0) if self.ways[name] else (0.0, 0.0)
            await anyio.sleep(there)
            if self.down:
                raise StoreError("It is down.", hint="")
            result = await getattr(self.shared, name)(*arguments, **named)
            await anyio.sleep(back)
            return result

        return operation

    def connection(self) -> RunStore:
        """A process's own."""
        return ResilientRunStore(cast("RunStore", self), MemoryRunStore())

    def loses_everything(self) -> None:
        """It was restarted without its disk."""
        self.shared = MemoryRunStore()


async def test_a_store_that_is_lost_in_the_middle_costs_no_run_that_a_process_knows() -> None:
    """The same question joins, the store is told again, and then the other process joins too (our choice)."""
    server, contit = Server(), EchoContit(seconds=20)
    first, second = (set_stage(contit, server.connection()) for _ in range(2))
    started = await first.assistant.ask(OWNER, "q", wait_seconds=5)
    server.loses_everything()
    same = await first.assistant.ask(OWNER, "q", wait_seconds=1)
    assert (same.run_id, same.joined) == (started.run_id, True)
    elsewhere = await second.assistant.ask(OWNER, "q", wait_seconds=45)
    assert (elsewhere.run_id, elsewhere.response) == (started.run_id, answer_to("q"))
    assert contit.count("start") == 1


async def test_an_answer_that_is_owed_is_given_although_the_store_was_lost() -> None:
    """Memory has the run as going; the store learns of it, then of its end (our choice)."""
    server = Server()
    stage = set_stage(EchoContit(seconds=3), server.connection())
    started = await stage.assistant.ask(OWNER, "q", wait_seconds=1)
    server.loses_everything()
    await anyio.sleep(5)
    again = await stage.assistant.ask(OWNER, "q", wait_seconds=10)
    assert (again.run_id, again.response) == (started.run_id, answer_to("q"))


async def test_an_answer_that_is_owed_is_given_also_when_the_lost_store_learns_of_the_end_meanwhile() -> None:
    """The store granted the start before it knew of the run at all, so it decides again (our choice)."""
    server = Server()
    here = RunLedger(server.connection())
    run = await begin(here, opening("q"), "r")
    server.loses_everything()
    server.ways["change"].append((0.5, 0.0))
    joined: list[RunRecord] = []

    async def ask_again() -> None:
        claim = await here.claim(opening("q"), now=T0 + 2)
        assert isinstance(claim, Joined)
        joined.append(claim.record)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask_again)
        await anyio.sleep(0.2)
        await here.completed(run, "its own", now=T0 + 2)
    assert joined[0].answer == "its own"


async def test_what_happens_while_the_store_is_being_told_is_told_to_it_too() -> None:
    """Else an end, or the ids of a run, would be undone by what the store says of the time before (our choice)."""
    server = Server(down=True)
    here, there = (RunLedger(server.connection()) for _ in range(2))
    run = await begin(here, opening("q"), "r")
    await anyio.sleep(6)
    server.down = False
    server.ways["change"].append((0.0, 0.5))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: here.latest("owner", "t", now=T0 + 6))
        await anyio.sleep(0.2)
        await here.completed(run, "its own", now=T0 + 6)
    for ledger in (here, there):
        seen = await ledger.find("owner", "t", "r", now=T0 + 7)
        assert seen is not None
        assert seen.answer == "its own"


async def test_a_reading_that_comes_late_undoes_nothing_that_is_known() -> None:
    """Else the run would be asked about again, and given a later run's answer (our choice)."""
    server = Server()
    here = RunLedger(server.connection())
    run = await begin(here, opening("q"), "r")
    server.ways["find"].append((0.0, 0.5))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: here.find("owner", "t", "r", now=T0 + 1))
        await anyio.sleep(0.2)
        await here.completed(run, "its own", now=T0 + 1)
    server.loses_everything()
    seen = await here.find("owner", "t", "r", now=T0 + 2)
    assert seen is not None
    assert seen.answer == "its own"


async def test_what_is_taken_back_while_the_store_is_down_joins_what_others_have_taken_back() -> None:
    """Neither undoes the other (our choice)."""
    server = Server()
    here, there = (RunLedger(server.connection()) for _ in range(2))
    run = await begin(here, opening("q"), "r")
    server.down = True
    await here.cancelled(run, 1, now=T0 + 1)
    seen = await here.find("owner", "t", "r", now=T0 + 1)
    assert seen is not None
    assert seen.cancelled == (1,)
    server.down = False
    await there.cancelled(run, 2, now=T0 + 2)
    await anyio.sleep(6)
    for ledger in (here, there):
        seen = await ledger.refreshed(run, now=T0 + 8)
        assert seen.cancelled == (1, 2)


async def test_a_reading_that_comes_late_brings_nothing_back_that_was_taken_back() -> None:
    """Also where the store is lost after it (our choice)."""
    server = Server()
    here = RunLedger(server.connection())
    run = await begin(here, opening("q"), "r")
    server.ways["find"].append((0.0, 0.5))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: here.find("owner", "t", "r", now=T0 + 1))
        await anyio.sleep(0.2)
        await here.cancelled(run, 1, now=T0 + 1)
    server.loses_everything()
    seen = await here.find("owner", "t", "r", now=T0 + 2)
    assert seen is not None
    assert seen.cancelled == (1,)

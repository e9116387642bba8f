"""What an independent review found at the edges of launching: callers who leave in the middle, and slow looks."""

import anyio
import pytest

from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.runs.claims import Claim
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import RunRecord
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, STEADY, set_stage, wall_clock

pytestmark = pytest.mark.anyio


class SlowStore(MemoryRunStore):
    """A store whose claims take a while to come back."""

    async def claim(self, intent: RunRecord) -> Claim:
        claim = await super().claim(intent)
        await anyio.sleep(0.5)
        return claim


async def test_a_caller_who_leaves_while_the_store_is_asked_leaves_no_intent_behind() -> None:
    """Else the same question would wait for a start that nobody sends."""
    stage = set_stage(store=SlowStore(now=wall_clock))
    with anyio.move_on_after(0.2):
        await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert stage.contit.count("start") == 0
    began = anyio.current_time()
    report = await stage.assistant.ask(OWNER, "q", wait_seconds=45)
    assert report.response == answer_to("q")
    assert anyio.current_time() - began < 5


@pytest.mark.parametrize("latency", [30.0])
async def test_joining_a_run_that_contit_is_slow_to_tell_about_costs_one_look(latency: float) -> None:
    """Eight seconds beyond the wait, not one after the other of them."""
    contit = EchoContit(seconds=100)
    store = MemoryRunStore(now=wall_clock)
    first = set_stage(contit, store, polling=PollPolicy(schedule=STEADY))
    second = set_stage(contit, store, polling=PollPolicy(schedule=STEADY))
    handle = await first.assistant.start(OWNER, "q", wait_seconds=45)
    await anyio.sleep(5)
    contit.latency = latency
    began = anyio.current_time()
    joined = await second.assistant.ask(OWNER, "q", wait_seconds=2)
    assert joined.run_id == handle.run_id
    assert anyio.current_time() - began < 11
    began = anyio.current_time()
    again = await second.assistant.start(OWNER, "q", wait_seconds=45)
    assert again.run_id == handle.run_id
    assert anyio.current_time() - began < 9

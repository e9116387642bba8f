"""A caller that leaves: a read stops at once, a start first stores its ids. Virtual time."""

import anyio
import anyio.lowlevel
import pytest

from contit_mcp import errors
from tests.contit.upstream import HANGS, STARTED, Kept, contit_client, scripted, start
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio

SLOW_START = Reply(200, STARTED, after=2.0)


async def test_a_cancelled_start_keeps_its_ids_before_it_leaves() -> None:
    """The run exists upstream, so its handle must exist here."""
    upstream, kept = scripted(SLOW_START), Kept(after=3.0)
    began, went_on = anyio.current_time(), False
    with anyio.fail_after(100), anyio.move_on_after(1.0) as scope:
        await start(contit_client(upstream), keep=kept)
        await anyio.lowlevel.checkpoint()
        went_on = True
    assert [run.run_id for run in kept.runs] == ["run-1"]
    assert scope.cancelled_caught
    assert not went_on
    assert anyio.current_time() - began == pytest.approx(5.0)
    assert (len(upstream.received), upstream.abandoned) == (1, 0)


async def test_a_start_that_is_cancelled_while_it_keeps_its_ids_keeps_them_all_the_same() -> None:
    kept = Kept(after=3.0)
    with anyio.fail_after(100), anyio.move_on_after(4.0) as scope:
        await start(contit_client(scripted(SLOW_START)), keep=kept)
        await anyio.lowlevel.checkpoint()
    assert len(kept.runs) == 1
    assert scope.cancelled_caught


async def test_a_start_that_is_cancelled_during_a_pause_is_not_sent_again() -> None:
    upstream = scripted(Reply(503, headers={"Retry-After": "30"}), SLOW_START)
    began = anyio.current_time()
    with anyio.move_on_after(1.0) as scope:
        await start(contit_client(upstream))
    assert scope.cancelled_caught
    assert anyio.current_time() - began == pytest.approx(1.0)
    assert len(upstream.received) == 1


async def test_a_cancelled_start_that_hangs_ends_after_start_seconds() -> None:
    upstream, kept = scripted(HANGS), Kept()
    began = anyio.current_time()
    with (
        anyio.fail_after(100),
        pytest.raises(errors.APITimeoutError) as caught,
        anyio.move_on_after(1.0),
    ):
        await start(contit_client(upstream, start_seconds=20.0), keep=kept)
    assert caught.value.may_have_arrived
    assert anyio.current_time() - began == pytest.approx(20.0)
    assert (len(upstream.received), upstream.abandoned) == (1, 1)
    assert kept.runs == []


@pytest.mark.parametrize("read", ["status", "young status", "response", "young response"])
async def test_a_cancelled_read_stops_at_once(read: str) -> None:
    upstream = scripted(HANGS)
    client = contit_client(upstream)
    began = anyio.current_time()
    with anyio.move_on_after(1.0) as scope:
        if read.endswith("status"):
            await client.run_status("t", "r", just_started=read.startswith("young"))
        else:
            await client.thread_response("t", just_completed=read.startswith("young"))
    assert scope.cancelled_caught
    assert anyio.current_time() - began == pytest.approx(1.0)
    assert (len(upstream.received), upstream.abandoned) == (1, 1)


@pytest.mark.parametrize("status", [404, 503])
async def test_a_read_that_is_cancelled_during_a_pause_stops_at_once(status: int) -> None:
    upstream = scripted(Reply(status, headers={"Retry-After": "5"}))
    with anyio.move_on_after(0.1) as scope:
        await contit_client(upstream).run_status("t", "r", just_started=True)
    assert scope.cancelled_caught
    assert len(upstream.received) == 1

"""Waiting for a store in a process that gets too little processor."""

import time

import anyio
import anyio.lowlevel
import pytest

from contit_mcp.runs.patience import Patience

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio as in production: on a virtual clock nobody is busy."""
    return "asyncio", {}


async def test_what_this_process_is_busy_with_does_not_count() -> None:
    """Starved replicas took a good Redis for dead, and each then decided alone (seen; our choice)."""

    async def work() -> str:
        for _ in range(30):
            until = time.thread_time() + 0.05
            while time.thread_time() < until:
                pass
            await anyio.lowlevel.checkpoint()
        return "there"

    assert await Patience(0.5).wait_for(work) == "there"


async def test_what_is_slow_itself_ends_after_the_patience() -> None:
    """Not sooner, and it is cancelled (our choice)."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await Patience(0.3).wait_for(lambda: anyio.sleep(60))
    assert time.monotonic() - began >= 0.3


async def test_the_cancellation_of_the_caller_and_its_own_errors_pass() -> None:
    """They are not ours to explain (our choice)."""

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await Patience(1).wait_for(fail)
    with anyio.move_on_after(0.05) as scope:
        await Patience(60).wait_for(lambda: anyio.sleep(60))
    assert scope.cancelled_caught

"""Waiting for a store in a process that gets no processor for a while."""

import time

import anyio
import pytest

from contit_mcp.runs.patience import Patience

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio as in production: a virtual clock is never late."""
    return "asyncio", {}


async def test_the_own_delay_of_a_process_does_not_count() -> None:
    """Starved replicas took a good Redis for dead, and each then decided alone (seen; our choice)."""
    tries = 0

    async def work() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            time.sleep(1.5)  # noqa: ASYNC251 - the whole process stands still
        await anyio.sleep(0.01)
        return "there"

    assert await Patience(1.0).wait_for(work) == "there"


async def test_what_is_slow_itself_ends_after_the_patience() -> None:
    """It is done once (our choice)."""
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        await anyio.sleep(60)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await Patience(0.3).wait_for(work)
    assert time.monotonic() - began >= 0.3

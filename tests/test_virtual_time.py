"""The clock that all other tests stand on."""

import time

import anyio
import pytest

pytestmark = pytest.mark.anyio


async def test_an_hour_passes_at_once_and_in_order() -> None:
    real, virtual = time.monotonic(), anyio.current_time()
    woken: list[str] = []

    async def wake(name: str, after: float) -> None:
        await anyio.sleep(after)
        woken.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wake, "late", 3_600)
        tasks.start_soon(wake, "early", 1)
    assert woken == ["early", "late"]
    assert anyio.current_time() - virtual == pytest.approx(3_600)
    assert time.monotonic() - real < 5

"""What the tests of several processes stand on."""

from collections.abc import Iterator

import pytest

from contit_mcp.runs.memory import MemoryRunStore
from tests.durability.world import RETENTION, World
from tests.stage import wall_clock


@pytest.fixture
def world() -> Iterator[World]:
    """Two processes that can be killed, each with its memory, and the store that they share."""
    store = MemoryRunStore(retention=RETENTION, now=wall_clock)
    world = World(lambda: store)
    world.contit.lasts = 20.0
    yield world
    world.close()

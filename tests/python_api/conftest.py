"""A sandbox on a port of this machine, and asyncio in real time."""

from collections.abc import Iterator

import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.testing import RunningSandbox, running_sandbox
from tests.children import anyio_backend

__all__ = ["anyio_backend"]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxOptions(run_seconds=0.2, api_keys=frozenset({"anna-key", "ben-key"}))) as running:
        yield running

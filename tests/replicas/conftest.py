"""Replicas are in real time."""

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio as in production: processes and sockets do not follow a virtual clock."""
    return "asyncio", {}

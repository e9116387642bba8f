"""A server on the sandbox in memory, in virtual time, and a client of the MCP SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from mcp.client import Client
from starlette.applications import Starlette

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions, parse_fault
from contit_mcp.sandbox.record import SandboxRecord
from tests.server.stage import connected


class Stage:
    """The sandbox, and clients of a server in front of it."""

    def __init__(self) -> None:
        self.sandbox: Starlette = create_sandbox(SandboxOptions(run_seconds=3), clock=anyio.current_time)

    @property
    def contit(self) -> SandboxRecord:
        """The requests and runs that the sandbox has seen; it takes faults."""
        record: SandboxRecord = self.sandbox.state.sandbox
        return record

    def fails(self, fault: str) -> None:
        """Order a fault, as in docs/sandbox.md."""
        self.contit.add_fault(parse_fault(fault))

    @asynccontextmanager
    async def host(self, name: str | None = None) -> AsyncIterator[Client]:
        """Yield the client of a host with this name."""
        async with connected(httpx.ASGITransport(self.sandbox), host=name) as (client, _):
            yield client


@pytest.fixture
async def stage() -> Stage:
    """A stage of its own for each test."""
    return Stage()

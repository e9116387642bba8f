"""Contit, which is the sandbox, and a host that calls contit-mcp: all in this process, and in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from mcp.client import Client
from starlette.applications import Starlette

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from contit_mcp.server.results import RunResult
from tests.server.stage import call, connected

QUESTION = "How many drafts are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages."


class Result(RunResult):
    """What a tool returns: fields for programs, the same as text, and whether the call is an error."""

    text: str
    is_error: bool


class Host:
    """An MCP host that is connected to its own contit-mcp, by the client of the MCP SDK."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: object) -> Result:
        """Call a tool."""
        fields, texts, is_error = await call(self.client, tool, arguments)
        return Result(text="\n".join(texts), is_error=is_error, **fields)


@asynccontextmanager
async def connected_host(sandbox: Starlette, *, name: str | None = None) -> AsyncIterator[Host]:
    """Yield a host that tells its name, if it has one."""
    async with connected(httpx.ASGITransport(sandbox), host=name) as (client, _):
        yield Host(client)


@pytest.fixture
def sandbox() -> Starlette:
    """A Contit whose runs take 3 seconds."""
    return create_sandbox(SandboxOptions(run_seconds=3), clock=anyio.current_time)


@pytest.fixture
def contit(sandbox: Starlette) -> SandboxRecord:
    """The requests and runs that Contit has seen. A test can add faults to it (docs/sandbox.md)."""
    record: SandboxRecord = sandbox.state.sandbox
    return record


@pytest.fixture
async def host(sandbox: Starlette) -> AsyncIterator[Host]:
    """A host without a name."""
    async with connected_host(sandbox) as host:
        yield host

"""A sandbox in memory, in virtual time, with a client that has its key."""

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord

START = "/ai-assistant/thread"


class Sandbox:
    """The sandbox with these options, its record and its client."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        app = create_sandbox(options or SandboxOptions(run_seconds=2), clock=anyio.current_time)
        self.record: SandboxRecord = app.state.sandbox
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://sandbox", headers={"X-Api-Key": "sandbox-key"}
        )

    async def start(self, prompt: str = "How many drafts are there?", thread_id: str | None = None) -> httpx.Response:
        return await self.http.post(START, json={"threadId": thread_id, "prompt": prompt})

    async def status(self, ids: dict[str, str]) -> httpx.Response:
        return await self.http.get(f"{START}/{ids['threadId']}/run/{ids['runId']}/status")

    async def response(self, ids: dict[str, str]) -> httpx.Response:
        return await self.http.get(f"{START}/{ids['threadId']}/response")

    async def answer(self, prompt: str) -> str:
        """Return the answer of a run that takes no time, or the status instead."""
        answered = await self.response((await self.start(prompt)).raise_for_status().json())
        return str(answered.json().get("response", answered.status_code))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox whose runs take two seconds."""
    made = Sandbox()
    async with made.http:
        yield made

"""The assistant with a Contit in memory, in virtual time."""

from dataclasses import dataclass
from typing import Any

import anyio

from contit_mcp.assistant.reports import Observer, RunReport
from contit_mcp.assistant.service import Assistant
from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import build_http_client
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.store import RetentionPolicy, RunStore
from tests.echo_contit import EchoContit

OWNER = "owner-1"
EPOCH = 1_700_000_000.0
STEADY = PollPolicy(first=0.5, shortest=0.5, growth=0.0, longest=5.0, jitter=0.0)


def wall_clock() -> float:
    """Seconds since the epoch, moving with the virtual clock."""
    return EPOCH + anyio.current_time()


@dataclass
class Stage:
    """One process of contit-mcp, asked as `OWNER`; a second stage on the same store and Contit is a second process."""

    contit: EchoContit
    store: RunStore
    client: ContitClient
    assistant: Assistant

    async def ask(self, prompt: str, thread_id: str | None = None, *, wait: float = 45.0, **more: Any) -> RunReport:
        return await self.assistant.ask(OWNER, prompt, thread_id, wait_seconds=wait, **more)

    async def leave(self, prompt: str = "q", *, after: float) -> None:
        """Ask, and cancel the call after so many seconds."""
        with anyio.move_on_after(after):
            await self.ask(prompt)

    def second(self) -> "Stage":
        """Return a second process on the same store and Contit."""
        return set_stage(self.contit, self.store)

    async def start(self, prompt: str, thread_id: str | None = None, *, wait: float = 45.0) -> RunReport:
        return await self.assistant.start(OWNER, prompt, thread_id, wait_seconds=wait)

    async def status(self, run: RunReport, *, wait: float = 0.0, **more: Any) -> RunReport:
        return await self.assistant.status(OWNER, run.thread_id, str(run.run_id), wait_seconds=wait, **more)

    async def response(self, run: RunReport, *, wait: float = 45.0) -> RunReport:
        return await self.assistant.response(OWNER, run.thread_id, run.run_id, wait_seconds=wait)


class Notes(Observer):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def started(self, thread_id: str, run_id: str) -> None:
        self.heard.append(f"{thread_id}/{run_id}")

    def status(self, word: str) -> None:
        self.heard.append(word)


def set_stage(
    contit: EchoContit | None = None,
    store: RunStore | None = None,
    *,
    polling: PollPolicy = STEADY,
    retention: RetentionPolicy | None = None,
) -> Stage:
    """Build a stage; polls are steady, so that a test can count them."""
    contit = contit or EchoContit()
    store = MemoryRunStore(retention=retention, now=wall_clock) if store is None else store
    http = build_http_client("http://localhost", transport=contit)
    key = APIKeyAuth(SecretValue("CONTIT_API_KEY", value="key"))
    client = ContitClient(http, auth=key, retry=RetryPolicy(jitter=0.0))
    assistant = Assistant(client, store, polling=polling)
    return Stage(contit, store, client, assistant)

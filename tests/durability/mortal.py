"""Processes that can be killed: from that instant on nothing of them has any effect, and nothing they wait for comes."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import anyio
import httpx

from contit_mcp.assistant.service import Assistant
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import build_http_client
from contit_mcp.errors import StoreError
from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Delivery, RunRecord
from contit_mcp.runs.store import RetentionPolicy, RunStore, Transition
from tests.durability.history import History
from tests.durability.recording_contit import RecordingContit
from tests.stage import STEADY, wall_clock

T = TypeVar("T")


class Killed(BaseException):
    """Ends the code of a dead process wherever it tries to have an effect."""


@dataclass
class SharedStore:
    """The store's server: it can go down, and come back with what it had or with nothing."""

    open: Callable[[], RunStore]
    history: History
    seconds: float = 0.02  # at most, for the way to it and for the way back
    down: bool = False
    memory_counts: bool = False  # whether what a process has in its memory alone is as good as stored
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def note(self, record: RunRecord) -> None:
        if record.tracked:
            self.history.stored(record.thread_id, record.run_id)
        if record.ended and record.delivery is Delivery.DELIVERED:
            self.history.delivering(record.thread_id, record.run_id)


class _Memory(MemoryRunStore):
    """A process's own memory, which counts as keeping a run where the process cannot die."""

    def __init__(self, shared: SharedStore, retention: RetentionPolicy) -> None:
        super().__init__(retention=retention, now=wall_clock)
        self._shared = shared

    def keep(self, record: RunRecord) -> None:
        super().keep(record)
        if self._shared.memory_counts:
            self._shared.note(record)


@dataclass
class MortalStore:
    """One process's way to the shared store."""

    shared: SharedStore
    connection: RunStore | None = None
    alive: bool = True

    def now(self) -> float:
        return wall_clock()

    async def change(self, record: RunRecord, transition: Transition) -> RunRecord:
        async def apply(store: RunStore) -> RunRecord:
            after = await store.change(record, transition)
            self.shared.note(after)
            return after

        return await self._do(apply)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return lambda *arguments: self._do(lambda store: getattr(store, name)(*arguments))

    async def aclose(self) -> None:
        if self.connection is not None:
            await self.connection.aclose()

    async def _do(self, operation: Callable[[RunStore], Awaitable[T]]) -> T:
        """The operation itself takes no time; the ways there and back do."""
        await self._way()
        if self.connection is None:
            self.connection = self.shared.open()
        result = await operation(self.connection)
        await self._way()
        return result

    async def _way(self) -> None:
        if not self.alive:
            raise Killed
        if self.shared.seconds:
            await anyio.sleep(self.shared.seconds * self.shared.chance.random())
        if not self.alive:
            raise Killed
        if self.shared.down:
            raise StoreError("It is down.", hint="")


@dataclass
class MortalNetwork(httpx.AsyncBaseTransport):
    """One process's way to Contit. What it has sent arrives; the answer finds nobody."""

    contit: RecordingContit
    alive: bool = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.alive:
            raise Killed
        response = await self.contit.answer(request)
        if not self.alive:
            raise Killed
        return response


class Process:
    """One contit-mcp."""

    def __init__(self, name: str, contit: RecordingContit, shared: SharedStore, retention: RetentionPolicy) -> None:
        self.name = name
        self.store = MortalStore(shared)
        self.network = MortalNetwork(contit)
        http = build_http_client("http://localhost", transport=self.network)
        key = APIKeyAuth(SecretValue("CONTIT_API_KEY", value="key"))
        self.assistant = Assistant(
            ContitClient(http, auth=key, retry=RetryPolicy(jitter=0.0)),
            FallbackRunStore(cast("RunStore", self.store), _Memory(shared, retention)),
            polling=STEADY,
        )

    def kill(self) -> None:
        self.store.alive = self.network.alive = False

"""Callers, processes, their store and Contit on one virtual clock, which a test moves step by step.

A test can kill a process: from then on, nothing that it does has an effect, and nothing that it waits for arrives.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import anyio
import httpx

from contit_mcp.assistant.reports import RunReport
from contit_mcp.errors import StoreError
from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.record import Delivery, RunRecord
from contit_mcp.runs.store import RetentionPolicy, RunStore, Transition
from tests.durability.history import CALL, Call, History
from tests.durability.recording_contit import RecordingContit
from tests.echo_contit import EchoContit
from tests.stage import OWNER, set_stage, wall_clock
from tests.virtual_time import VirtualTimeLoop

T = TypeVar("T")

RETENTION = RetentionPolicy(record=7_200.0, answer=900.0)  # short enough to end within an example


class Killed(BaseException):
    """Is raised in a killed process where it would use the store or the network."""


@dataclass
class SharedStore:
    """The store that all processes use; it can be down."""

    connect: Callable[[], RunStore]
    history: History
    chance: random.Random
    seconds: float = 0.02  # at most, for the way to it and for the way back
    down: bool = False
    memory_counts: bool = False  # whether a run in a process's own memory counts as stored

    def note(self, record: RunRecord) -> None:
        """Tell the history which runs are stored, and which answers count as delivered."""
        if record.tracked:
            self.history.stored(record.thread_id, record.run_id)
        if record.ended and record.delivery is Delivery.DELIVERED:
            self.history.delivering(record.thread_id, record.run_id)


class _Memory(MemoryRunStore):
    """A process's own memory, which tells the history too where `memory_counts`."""

    def __init__(self, shared: SharedStore, retention: RetentionPolicy) -> None:
        super().__init__(retention=retention, now=wall_clock)
        self._shared = shared

    def keep(self, record: RunRecord) -> None:
        super().keep(record)
        if self._shared.memory_counts:
            self._shared.note(record)


@dataclass
class MortalStore:
    """One process's way to the shared store, which ends with the process."""

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
        """Do the operation, which itself takes no time, between the way there and the way back."""
        await self._way()
        if self.connection is None:
            self.connection = self.shared.connect()
        result = await operation(self.connection)
        await self._way()
        return result

    async def _way(self) -> None:
        if self.alive and self.shared.seconds:
            await anyio.sleep(self.shared.seconds * self.shared.chance.random())
        if not self.alive:
            raise Killed
        if self.shared.down:
            raise StoreError("It is down.", hint="")


@dataclass
class MortalNetwork(httpx.AsyncBaseTransport):
    """One process's way to Contit. After its death a request that it has sent still arrives; the answer does not."""

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

    def __init__(self, contit: RecordingContit, shared: SharedStore) -> None:
        self.store = MortalStore(shared)
        self.network = MortalNetwork(contit)
        store = FallbackRunStore(cast("RunStore", self.store), _Memory(shared, RETENTION))
        self.assistant = set_stage(cast("EchoContit", self.network), store).assistant


@dataclass
class _Caller:
    call: Call
    task: asyncio.Task[None]
    scope: anyio.CancelScope


@dataclass
class World:
    """See the module.

    Attributes:
        connect: Returns a process's connection to the store.
        seed: Decides how long each way to the store and to Contit takes.
    """

    connect: Callable[[], RunStore]
    processes: int = 2
    seed: int = 0
    loop: VirtualTimeLoop = field(default_factory=VirtualTimeLoop)

    def __post_init__(self) -> None:
        self.history = History(RETENTION)
        self.contit = RecordingContit(self.history, random.Random(self.seed))
        self.shared = SharedStore(self.connect, self.history, random.Random(self.seed))
        self.running: dict[int, Process] = {}
        self.callers: list[_Caller] = []
        self.loop.set_exception_handler(lambda _, context: self.history.wrongs.append(repr(context)))
        for number in range(self.processes):
            self.restart(number)

    @property
    def now(self) -> float:
        return self.loop.time()

    def pass_time(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))
        for caller in [caller for caller in self.callers if caller.task.done()]:
            self.callers.remove(caller)
            caller.task.result()
        assert not self.history.wrongs, "\n".join(self.history.wrongs)

    def leave(self, index: int) -> None:
        async def cancel() -> None:
            self.callers[index].scope.cancel()

        self._run(cancel())

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.store.alive = process.network.alive = False
        orphans = [caller for caller in self.callers if caller.call.process == number]
        for caller in orphans:
            caller.call.alive = False
            self.callers.remove(caller)
            caller.task.cancel()  # this ends what is shielded too

        async def bury() -> None:
            await asyncio.gather(*(caller.task for caller in orphans), return_exceptions=True)
            await process.store.aclose()  # as the operating system does

        self._run(bury())

    def restart(self, number: int) -> None:
        self.running[number] = Process(self.contit, self.shared)

    def close(self) -> None:
        for number in tuple(self.running):
            self.kill(number)
        self._run(self.loop.shutdown_asyncgens())
        self.loop.close()

    def ask(self, number: int, prompt: str, **more: Any) -> Call:
        return self.call("ask", number, prompt=prompt, **more)

    def call(self, kind: str, number: int, *, owner: str = OWNER, wait: float = 45.0, **about: Any) -> Call:
        """Call `ask`, `start`, `status` or `response` of the process with this number; do not wait for its end."""
        call = Call(len(self.history.calls) + 1, kind, owner, number, self.now, **about)
        self.history.calls.append(call)
        work = getattr(self.running[number].assistant, kind)

        async def make() -> None:
            scope = anyio.CancelScope()
            task = asyncio.create_task(self._live_through(call, scope, work(owner, **about, wait_seconds=wait)))
            self.callers.append(_Caller(call, task, scope))

        self._run(make())
        return call

    async def _live_through(self, call: Call, scope: anyio.CancelScope, work: Coroutine[Any, Any, RunReport]) -> None:
        CALL.set(call)
        try:
            with scope:
                try:
                    report = await work
                except Exception as error:  # noqa: BLE001 - judged by the history
                    if call.alive:
                        self.history.raised(call, error)
                else:
                    if call.alive:
                        self.history.reported(call, report)
        except Killed:
            assert not call.alive
        finally:
            call.ended = self.now

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

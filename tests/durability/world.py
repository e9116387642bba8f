"""Callers, processes, a store and Contit on one virtual clock, moved from outside step by step.

Processes can be killed: from that instant on nothing of them has any effect, and nothing they wait for comes.
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
from tests.stage import set_stage, wall_clock
from tests.virtual_time import VirtualTimeLoop

T = TypeVar("T")

RETENTION = RetentionPolicy(record=7_200.0, answer=900.0)  # short, so that an example can live through it


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
        store = FallbackRunStore(cast("RunStore", self.store), _Memory(shared, retention))
        self.assistant = set_stage(cast("EchoContit", self.network), store).assistant

    def kill(self) -> None:
        self.store.alive = self.network.alive = False


@dataclass
class _Caller:
    call: Call
    task: asyncio.Task[None]
    scope: anyio.CancelScope


@dataclass
class World:
    """See the module; `open_store` connects a process to the store, `seed` is that of the chances that no rule draws."""

    open_store: Callable[[], RunStore]
    processes: int = 2
    seed: int = 0
    loop: VirtualTimeLoop = field(default_factory=VirtualTimeLoop)

    def __post_init__(self) -> None:
        self.history = History(RETENTION)
        self.contit = RecordingContit(self.history, chance=random.Random(self.seed))
        self.shared = SharedStore(self.open_store, self.history, chance=random.Random(self.seed))
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

    def ask(self, number: int, owner: str, prompt: str, thread_id: str | None, wait: float) -> Call:
        return self.call("ask", number, owner, wait, prompt=prompt, thread_id=thread_id)

    def start(self, number: int, owner: str, prompt: str, thread_id: str | None, wait: float) -> Call:
        return self.call("start", number, owner, wait, prompt=prompt, thread_id=thread_id)

    def response(self, number: int, owner: str, thread_id: str, run_id: str | None, wait: float) -> Call:
        return self.call("response", number, owner, wait, thread_id=thread_id, run_id=run_id)

    def leave(self, index: int) -> None:
        caller = self.callers[index]
        caller.call.left = True

        async def cancel() -> None:
            caller.scope.cancel()

        self._run(cancel())

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.kill()
        orphans = [caller for caller in self.callers if caller.call.process == process.name]
        for caller in orphans:
            caller.call.alive = False
            self.callers.remove(caller)
            caller.task.cancel()  # also what is shielded: there is nothing left that could go on

        async def buried() -> None:
            await asyncio.gather(*(caller.task for caller in orphans), return_exceptions=True)

        self._run(buried())

    def restart(self, number: int) -> None:
        name = f"process {number} of {self.now:.2f}"
        self.running[number] = Process(name, self.contit, self.shared, RETENTION)

    def number_of(self, call: Call) -> int:
        return next(number for number, process in self.running.items() if process.name == call.process)

    def close(self) -> None:
        for number in tuple(self.running):
            self.kill(number)
        self._run(self.loop.shutdown_asyncgens())
        self.loop.close()

    def call(self, kind: str, number: int, owner: str, wait: float, **about: Any) -> Call:
        """Make a call of this kind to a process."""
        process = self.running[number]
        call = Call(len(self.history.calls) + 1, kind, owner, process.name, self.now, **about)
        self.history.calls.append(call)
        work = getattr(process.assistant, kind)

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

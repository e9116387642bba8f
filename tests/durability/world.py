"""Callers, processes, a store and Contit on one virtual clock, moved from outside step by step."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio

from contit_mcp.assistant.reports import RunReport
from contit_mcp.runs.store import RetentionPolicy, RunStore
from tests.durability.history import CALL, Call, History
from tests.durability.mortal import Killed, Process, SharedStore
from tests.durability.recording_contit import RecordingContit
from tests.virtual_time import VirtualTimeLoop

T = TypeVar("T")

RETENTION = RetentionPolicy(record=7_200.0, answer=900.0)
"""Short, so that an example can live through it."""


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

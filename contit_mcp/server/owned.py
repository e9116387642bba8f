"""The assistant for one owner: what the tools call. Ids go through it, so that callers can be given handles."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from contit_mcp.assistant.reports import Observer, RunReport, RunSnapshot
from contit_mcp.assistant.service import Assistant
from contit_mcp.errors import RunError, RunNotFoundError
from contit_mcp.server.task_ids import TaskId

if TYPE_CHECKING:
    from contit_mcp.server.handles import Sealer


@dataclass(frozen=True, slots=True)
class OwnedAssistant:
    """Asks for one owner.

    Attributes:
        assistant: For all owners of one credential.
        owner: Who asks.
        sealer: Makes handles of Contit's ids; None where the caller sees them as they are.
        task_sealer: Gives what seals the ids of tasks, which are always sealed.
    """

    assistant: Assistant
    owner: str
    task_sealer: "Callable[[], Sealer]"
    sealer: "Sealer | None" = None

    async def ask(
        self,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float,
        answer_seconds: float | None = None,
        observer: Observer,
    ) -> RunReport:
        """See `Assistant.ask`."""
        thread = self._opened_thread(thread_id)
        with self._shown_errors():
            report = await self.assistant.ask(
                self.owner,
                prompt,
                thread,
                wait_seconds=wait_seconds,
                answer_seconds=answer_seconds,
                observer=observer,
            )
            return self._shown(report)

    async def start(
        self,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float,
        observer: Observer,
    ) -> RunReport:
        """See `Assistant.start`."""
        thread = self._opened_thread(thread_id)
        with self._shown_errors():
            report = await self.assistant.start(
                self.owner, prompt, thread, wait_seconds=wait_seconds, observer=observer
            )
            return self._shown(report)

    async def status(self, thread_id: str, run_id: str, *, wait_seconds: float, observer: Observer) -> RunReport:
        """See `Assistant.status`."""
        thread, run = self._opened_ids(thread_id, run_id)
        with self._shown_errors():
            return self._shown(
                await self.assistant.status(self.owner, thread, run, wait_seconds=wait_seconds, observer=observer)
            )

    async def response(
        self, thread_id: str, run_id: str | None = None, *, wait_seconds: float, observer: Observer
    ) -> RunReport:
        """See `Assistant.response`."""
        thread = self._opened("thread", thread_id, (thread_id, run_id))
        run = None if run_id is None else self._opened("run", run_id, (thread_id, run_id))
        with self._shown_errors():
            return self._shown(
                await self.assistant.response(self.owner, thread, run, wait_seconds=wait_seconds, observer=observer)
            )

    async def snapshot(self, task: TaskId) -> RunSnapshot:
        """See `Assistant.snapshot`. Only a task's id leads here, so that it holds Contit's own ids."""
        snapshot = await self.assistant.snapshot(self.owner, task.thread_id, task.run_id, asked_at_ms=task.asked_at_ms)
        if snapshot.failure is not None:
            snapshot.failure.thread_id, snapshot.failure.run_id = self.shown(task.thread_id, task.run_id)
        return replace(snapshot, report=self._shown(snapshot.report))

    async def cancel(self, task: TaskId) -> None:
        """See `Assistant.cancel`."""
        await self.assistant.cancel(self.owner, task.thread_id, task.run_id, asked_at_ms=task.asked_at_ms)

    def shown(self, thread_id: str | None, run_id: str | None) -> tuple[str | None, str | None]:
        """Contit's ids as this owner sees them."""
        if self.sealer is None:
            return thread_id, run_id
        return (
            None if thread_id is None else self.sealer.seal("thread", self.owner, thread_id),
            None if run_id is None else self.sealer.seal("run", self.owner, run_id),
        )

    def _opened_thread(self, thread_id: str | None) -> str | None:
        return None if thread_id is None else self._opened("thread", thread_id, (thread_id, None))

    def _opened_ids(self, thread_id: str, run_id: str) -> tuple[str, str]:
        given = (thread_id, run_id)
        return self._opened("thread", thread_id, given), self._opened("run", run_id, given)

    def _opened(self, kind: str, handle: str, given: tuple[str, str | None]) -> str:
        opened = handle if self.sealer is None else self.sealer.open(kind, self.owner, handle)
        if opened is None:
            raise RunNotFoundError(*given)
        return opened

    def _shown(self, report: RunReport) -> RunReport:
        thread_id, run_id = self.shown(report.thread_id, report.run_id)
        return replace(report, thread_id=thread_id or report.thread_id, run_id=run_id)

    @contextmanager
    def _shown_errors(self) -> Iterator[None]:
        try:
            yield
        except RunError as error:
            error.thread_id, error.run_id = self.shown(error.thread_id, error.run_id)
            raise

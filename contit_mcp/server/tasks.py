"""`contit_ask` as a task, for clients that declare the extension: a run of Contit is a durable job already.

Nothing runs in the background and nothing is stored beside the runs: a task's id names the run that a poll asks about.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Self

from mcp.server.context import CallNext, HandlerResult
from mcp_types import CallToolRequestParams, CallToolResult

from contit_mcp.assistant.reports import RunReport
from contit_mcp.runs.record import Phase
from contit_mcp.server.call import Call, Request, logged_request, run_call
from contit_mcp.server.context import AppContext
from contit_mcp.server.results import MAYBE_TWICE, answer_result, error_result
from contit_mcp.server.tools import Tool
from contit_mcp.tasks.extension import Status, Support, Task, unknown_task

TASK_SECONDS = 86_400.0  # how long a task id is valid: as long as a run is remembered

_MOST_POLLED = 2_000  # tasks whose last poll is remembered, to space the polls of each owner
_POLLED_SECONDS = 90.0  # a task that was not polled for this long no longer counts as in flight
_SECONDS_PER_TASK = 0.5  # each task of an owner lengthens the pause between polls: two polls a second for each owner


class TaskId(NamedTuple):
    """The content of a task's id: Contit's own ids, and the time of the ask, in which tasks of one run differ."""

    thread_id: str
    run_id: str
    asked_at_ms: int

    @property
    def text(self) -> str:
        """The content as one text, to be sealed; no id of Contit contains a line break."""
        return f"{self.asked_at_ms}\n{self.thread_id}\n{self.run_id}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a text that the property `text` returned."""
        asked_at_ms, thread_id, run_id = text.split("\n")
        return cls(thread_id, run_id, int(asked_at_ms))

    @property
    def created_at(self) -> float:
        """The time of the ask, in seconds since the epoch."""
        return self.asked_at_ms / 1000


class AskTasks:
    """A `TaskSource` of Contit's runs: calls of `contit_ask` become tasks; calls of other tools do not."""

    def __init__(self, context: AppContext, ask: Tool) -> None:
        self._context = context
        self._ask = replace(ask, run=self._begin)  # which may return a task
        self._latest_asked_at_ms = 0
        self._polled: OrderedDict[tuple[str, str], float] = OrderedDict()  # (owner, task id) → monotonic seconds

    def support(self, tool_name: str) -> Support:
        """See `TaskSource`."""
        return Support.OPTIONAL if tool_name == self._ask.listed.name else Support.NEVER

    async def create(self, params: CallToolRequestParams, ctx: Request, _call_next: CallNext) -> Task | HandlerResult:
        """Ask, and wait briefly; return the result of the call if it is there by then, else a task."""
        return await run_call(self._ask, params.arguments or {}, ctx, self._context)

    async def get(self, task_id: str, ctx: Request) -> Task:
        """Return the task as its run is now; raise MCPError for an id that does not open or has expired."""
        with self._opened(task_id, ctx) as (call, task):
            return self._task_of(await call.tenant.snapshot(*task), task_id, task, call)

    async def update(self, task_id: str, _responses: dict[str, Any], ctx: Request) -> bool:
        """Ignore the responses: a run requests no input."""
        with self._opened(task_id, ctx):
            return True

    async def cancel(self, task_id: str, ctx: Request) -> bool:
        """Store the cancellation with the run, if it is remembered. The run continues: Contit has no cancel."""
        with self._opened(task_id, ctx) as (call, task):
            owner = call.tenant.owner
            self._polled.pop((owner, task_id), None)
            await call.tenant.assistant.cancel(owner, task.thread_id, task.run_id, asked_at_ms=task.asked_at_ms)
            return True

    async def _begin(
        self, call: Call, prompt: str, thread_id: str | None, wait_seconds: float | None
    ) -> CallToolResult | Task:
        """Do what `contit_ask` does, but turn what is still running after a brief wait into a task."""
        settings = self._context.settings
        wait, inline = call.wait(wait_seconds), settings.task_inline_seconds
        report = await call.tenant.ask(prompt, thread_id, wait_seconds=wait, answer_seconds=inline, observer=call)
        if report.phase is not Phase.IN_PROGRESS or call.thread_id is None or call.run_id is None:
            return answer_result(report, part_characters=settings.answer_part_characters)
        # Tasks that share a run differ by this time, so it always grows.
        self._latest_asked_at_ms = max(int(self._now() * 1000), self._latest_asked_at_ms + 1)
        task = TaskId(call.thread_id, call.run_id, self._latest_asked_at_ms)
        message = _working(report.elapsed_seconds or 0.0) + (f" {MAYBE_TWICE}" if report.maybe_twice else "")
        handle = call.tenant.task_sealer().seal("task", call.tenant.handle_owner, task.text)
        return self._task(handle, task, call, Status.WORKING, message=message)

    @contextmanager
    def _opened(self, task_id: str, ctx: Request) -> Iterator[tuple[Call, TaskId]]:
        with logged_request(ctx, self._context) as call:
            text = call.tenant.task_sealer().open("task", call.tenant.handle_owner, task_id)
            task = None if text is None else TaskId.read(text)
            if task is None or self._now() - task.created_at >= TASK_SECONDS:
                raise unknown_task()
            call.started(task.thread_id, task.run_id)
            yield call, task
            call.facts.setdefault("outcome", "acknowledged")

    def _task_of(self, report: RunReport, task_id: str, task: TaskId, call: Call) -> Task:
        if report.cancelled:
            call.facts["outcome"] = "cancelled"
            message = "Cancelled. The run continues at Contit, which has no cancel; its answer is not waited for."
            return self._task(task_id, task, call, Status.CANCELLED, message=message)
        if report.error is None and report.phase is not Phase.COMPLETED:
            call.facts["outcome"], call.level = "in_progress", logging.DEBUG
            elapsed = report.elapsed_seconds if report.elapsed_seconds is not None else self._now() - task.created_at
            return self._task(task_id, task, call, Status.WORKING, message=_working(elapsed))
        if report.error is not None:
            call.note_error(report.error)
            result = error_result(report.error)  # without a trace id: the end of a task does not change
        else:
            call.facts["outcome"] = "completed"
            result = answer_result(report, part_characters=self._context.settings.answer_part_characters)
        ended_at = max(task.created_at, report.ended_at or 0.0)
        return self._task(task_id, task, call, Status.COMPLETED, updated_at=ended_at, result=result)

    def _task(self, task_id: str, task: TaskId, call: Call, status: Status, **more: Any) -> Task:
        age = self._now() - task.created_at
        return Task(
            task_id=task_id,
            status=status,
            created_at=task.created_at,
            ttl_seconds=TASK_SECONDS,
            poll_seconds=self._poll_seconds(call.tenant.owner, task_id, age, status),
            **{"updated_at": task.created_at, **more},
        )

    def _poll_seconds(self, owner: str, task_id: str, age: float, status: Status) -> float:
        """Return how long the client should pause: longer for an old task and for an owner of many tasks."""
        now = time.monotonic()
        self._polled.pop((owner, task_id), None)
        if not status.terminal:
            self._polled[owner, task_id] = now
        while len(self._polled) > _MOST_POLLED or (
            self._polled and now - next(iter(self._polled.values())) > _POLLED_SECONDS
        ):
            self._polled.popitem(last=False)
        tasks = sum(1 for polled_owner, _ in self._polled if polled_owner == owner)
        return min(60.0, max(1.0, min(5.0, age * 0.05), tasks * _SECONDS_PER_TASK))

    def _now(self) -> float:
        return self._context.services().store().now()


def _working(seconds: float) -> str:
    return f"Contit is working on it, {max(0.0, seconds):.0f} s so far."

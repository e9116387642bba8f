"""`contit_ask` as a task, for clients that declare the extension: a run of Contit is a durable job already.

Nothing runs in the background here and nothing is stored beside the runs: a task's id says which run it is, and a
client that asks about it gets a snapshot of the run.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, CallToolRequestParams, CallToolResult

from contit_mcp.assistant.reports import RunSnapshot
from contit_mcp.errors import ContitError, UnexpectedError
from contit_mcp.runs.record import Phase
from contit_mcp.server.call import Call, CallRecord, Request, logged_call, run_call
from contit_mcp.server.context import AppContext
from contit_mcp.server.results import MAYBE_TWICE, answer_result, error_result
from contit_mcp.server.tools import Tool
from contit_mcp.tasks.extension import Status, Support, Task
from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:  # start-up time: it brings in the core
    from contit_mcp.server.tenancy import TaskId, Tenant

log = get_logger(__name__)

_MOST_POLLED = 2_000
"""Tasks whose last poll is remembered, to space the polls of each owner."""

_POLLED_SECONDS = 90.0
"""A task that was not polled for this long no longer counts as in flight."""

_SECONDS_PER_TASK = 0.5
"""Each further task of an owner stretches the poll interval by this much: two polls a second an owner."""


class AskTasks:
    """A `TaskSource` of Contit's runs.

    Args:
        context: What the process shares.
        ask: The tool whose calls become tasks.
    """

    def __init__(self, context: AppContext, ask: Tool) -> None:
        self._context = context
        self._ask = ask
        self._latest_asked_at_ms = 0
        self._polled: OrderedDict[tuple[str, str], float] = OrderedDict()  # (owner, task id) → monotonic seconds

    def support(self, tool_name: str) -> Support:
        """Return OPTIONAL for `contit_ask`; the other tools return at once or wait on purpose."""
        return Support.OPTIONAL if tool_name == self._ask.name else Support.NEVER

    async def create(self, params: CallToolRequestParams, ctx: Request, call_next: CallNext) -> Task | HandlerResult:  # noqa: ARG002 - run_call serves both
        """Start the run or join the one that answers the question, and wait briefly; then there is a task."""
        return await run_call(self._ask, params.arguments or {}, ctx, self._context, perform=self._begin)

    async def get(self, task_id: str, ctx: Request) -> Task | None:
        """Take a snapshot of the run."""
        with self._logged(ctx) as record:
            opened = self._open(task_id, record)
            if opened is None:
                return None
            tenant, task = opened
            found = self._found(task_id, task, await tenant.snapshot(task), tenant.owner, record)
            record.level = record.level if found.status.terminal else logging.DEBUG
            return found

    async def update(self, task_id: str, responses: dict[str, Any], ctx: Request) -> bool:  # noqa: ARG002 - a run requests no input
        """Ignore the responses: a run requests no input."""
        with self._logged(ctx) as record:
            return self._open(task_id, record) is not None

    async def cancel(self, task_id: str, ctx: Request) -> bool:
        """Note it with the run, where it is remembered. The run itself continues: Contit has no cancel."""
        with self._logged(ctx) as record:
            opened = self._open(task_id, record)
            if opened is None:
                return False
            tenant, task = opened
            self._polled.pop((tenant.owner, task_id), None)
            await tenant.cancel(task)
            return True

    async def _begin(self, call: Call, **arguments: Any) -> CallToolResult | Task:
        """Do what `contit_ask` does, but turn what is still running after a brief wait into a task."""
        report = await call.tenant.ask(
            arguments["prompt"],
            arguments["thread_id"],
            wait_seconds=call.wait(arguments["wait_seconds"]),
            answer_seconds=self._context.settings.task_inline_seconds,
            observer=call.observer,
        )
        thread_id, run_id = call.observer.thread_id, call.observer.run_id
        if report.phase is not Phase.IN_PROGRESS or thread_id is None or run_id is None:
            return answer_result(report, part=call.part_characters)
        from contit_mcp.server.tenancy import TaskId  # noqa: PLC0415 - start-up time

        # Tasks that share a run differ by this time, so it always grows.
        asked_at_ms = max(int(self._now() * 1000), self._latest_asked_at_ms + 1)
        self._latest_asked_at_ms = asked_at_ms
        task = TaskId(thread_id, run_id, asked_at_ms)
        handle = call.tenant.task_handle(task)
        message = _working(report.elapsed_seconds or 0.0)
        message = f"{message} {MAYBE_TWICE}" if report.maybe_twice else message
        return self._task(handle, task, call.tenant.owner, Status.WORKING, message=message)

    @contextmanager
    def _logged(self, ctx: Request) -> Iterator[CallRecord]:
        """Log one request about a task as a call is logged, and turn our errors into the protocol's."""
        with logged_call(ctx.method, ctx, self._context, counts=False) as record:
            try:
                record.facts["outcome"] = "acknowledged"
                yield record
            except ContitError as error:
                record.failed(error)
                raise MCPError(INTERNAL_ERROR, f"{error.message} {error.hint}") from error
            except Exception as error:
                log.exception("call.crashed", tool=ctx.method)
                unexpected = UnexpectedError()
                record.failed(unexpected)
                raise MCPError(INTERNAL_ERROR, f"{unexpected.message} {unexpected.hint}") from error

    def _open(self, task_id: str, record: CallRecord) -> "tuple[Tenant, TaskId] | None":
        tenant = record.open_tenant()
        opened = tenant.open_task(task_id, now=self._now())
        if opened is None:
            record.facts["outcome"] = "unknown"
            return None
        record.observer.started(opened.thread_id, opened.run_id)
        return tenant, opened

    def _found(self, task_id: str, task: "TaskId", found: RunSnapshot, owner: str, record: CallRecord) -> Task:
        report, ended_at = found.report, found.report.ended_at
        if found.cancelled:
            record.facts["outcome"] = "cancelled"
            message = "Cancelled. The run continues at Contit, which has no cancel; its answer is not waited for."
            return self._task(task_id, task, owner, Status.CANCELLED, message=message)
        if found.failure is not None:
            record.failed(found.failure)
            result = error_result(found.failure)  # without a trace id: the end of a task does not change
            return self._task(task_id, task, owner, Status.COMPLETED, updated_at=ended_at, result=result)
        if report.phase is Phase.COMPLETED:
            record.facts["outcome"] = "completed"
            result = answer_result(report, part=self._context.settings.answer_part_characters)
            return self._task(task_id, task, owner, Status.COMPLETED, updated_at=ended_at, result=result)
        record.facts["outcome"] = "in_progress"
        elapsed = report.elapsed_seconds if report.elapsed_seconds is not None else self._now() - task.created_at
        return self._task(task_id, task, owner, Status.WORKING, message=_working(elapsed))

    def _task(
        self,
        task_id: str,
        task: "TaskId",
        owner: str,
        status: Status,
        *,
        updated_at: float | None = None,
        message: str | None = None,
        result: CallToolResult | None = None,
    ) -> Task:
        from contit_mcp.server.tenancy import TASK_SECONDS  # noqa: PLC0415 - start-up time

        return Task(
            task_id=task_id,
            status=status,
            created_at=task.created_at,
            updated_at=max(task.created_at, updated_at or task.created_at),
            ttl_seconds=TASK_SECONDS,
            poll_seconds=self._poll_seconds(owner, task_id, self._now() - task.created_at, ended=status.terminal),
            message=message,
            result=result,
        )

    def _poll_seconds(self, owner: str, task_id: str, age: float, *, ended: bool) -> float:
        """Return how long the client should pause: longer for an old task and for an owner of many tasks."""
        now = time.monotonic()
        if ended:
            self._polled.pop((owner, task_id), None)
        else:
            self._polled[owner, task_id] = now
            self._polled.move_to_end((owner, task_id))
        while self._polled and (
            len(self._polled) > _MOST_POLLED or now - next(iter(self._polled.values())) > _POLLED_SECONDS
        ):
            self._polled.popitem(last=False)
        tasks = sum(1 for polled_owner, _ in self._polled if polled_owner == owner)
        return min(60.0, max(1.0, min(5.0, age * 0.05), tasks * _SECONDS_PER_TASK))

    def _now(self) -> float:
        return self._context.services().store().now()


def _working(seconds: float) -> str:
    return f"Contit is working on it, {max(0.0, seconds):.0f} s so far."

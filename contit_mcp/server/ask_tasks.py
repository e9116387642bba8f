"""`contit_ask` as a task, for clients that declare the extension: a run of Contit's is a durable job already.

So nothing works here in the background, and nothing is kept beside what is remembered of runs: the id of a task says
which run it is, and a client that asks about it makes us look at the run.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, CallToolRequestParams, CallToolResult

from contit_mcp.assistant.reports import NOBODY, Glance
from contit_mcp.errors import ContitError, UnexpectedError
from contit_mcp.runs.record import Phase
from contit_mcp.server.accounts import Account, Request, accounted
from contit_mcp.server.bridge import Bridge
from contit_mcp.server.calls import Call, run_call
from contit_mcp.server.results import MAYBE_TWICE, answer_result, error_result
from contit_mcp.server.task_ids import TTL_SECONDS, TaskId, open_task_id
from contit_mcp.tasks.source import Support
from contit_mcp.tasks.task import Status, Task
from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:  # start-up time: it brings the core along, and httpx
    from contit_mcp.server.owned import OwnedAssistant

log = get_logger(__name__)


def _pause(age: float) -> float:
    """How often clients are told to ask: seldomer than runs are polled, since each question is a whole request."""
    return min(5.0, max(1.0, age * 0.05))


class AskTasks:
    """A `TaskSource` of Contit's runs.

    Args:
        bridge: What the tools stand on.
        ask: The tool whose calls become tasks.
    """

    def __init__(self, bridge: Bridge, ask: Tool) -> None:
        self._bridge = bridge
        self._ask = ask
        self._now = bridge.now
        self._latest_ask = 0

    def support(self, tool_name: str) -> Support:
        """`contit_ask` alone: what the other tools return is there at once, or is waited for on purpose."""
        return Support.OPTIONAL if tool_name == self._ask.name else Support.NEVER

    async def create(self, params: CallToolRequestParams, ctx: Request, call_next: CallNext) -> Task | HandlerResult:  # noqa: ARG002 - the call takes our own way, as without tasks
        """Start the run, or join the one that answers the question already; then there is a task."""
        return await run_call(self._ask, params.arguments or {}, ctx, self._bridge, perform=self._begin)

    async def get(self, task_id: str, ctx: Request) -> Task | None:
        """Look at the run."""
        with self._told(ctx) as account:
            opened = self._open(task_id, account, ctx)
            if opened is None:
                return None
            assistant, task = opened
            # When a stream of notifications ends says nothing of what was sent on it long before.
            observer = account.observer if ctx.method == "tasks/get" else NOBODY
            glance = await assistant.glance(task, observer=observer)
            found = self._found(task_id, task, glance)
            account.facts["outcome"] = found.status.value
            return found

    async def update(self, task_id: str, responses: dict[str, Any], ctx: Request) -> bool:  # noqa: ARG002 - none is ever outstanding
        """Ignore the responses: a run asks for nothing."""
        with self._told(ctx) as account:
            if self._open(task_id, account, ctx) is None:
                return False
            account.facts["outcome"] = "acknowledged"
            return True

    async def cancel(self, task_id: str, ctx: Request) -> bool:
        """Note it with the run, where it is remembered. The run itself goes on: Contit has no cancel."""
        with self._told(ctx) as account:
            opened = self._open(task_id, account, ctx)
            if opened is None:
                return False
            assistant, task = opened
            await assistant.cancel(task)
            account.facts["outcome"] = "acknowledged"
            return True

    async def _begin(self, call: Call, **arguments: Any) -> CallToolResult | Task:
        """What `contit_ask` does where its answer can come later."""
        assistant = call.assistant
        report = await assistant.start(
            arguments["prompt"],
            arguments["thread_id"],
            wait_seconds=call.wait(arguments["wait_seconds"]),
            observer=call.observer,
            awaited=True,
        )
        if report.phase is not Phase.IN_PROGRESS:  # it has joined a run that has its answer
            return answer_result(report)
        assert call.observer.thread_id is not None  # noqa: S101 - a run that was started has both
        assert call.observer.run_id is not None  # noqa: S101
        # Not before the run is there: a thread may have been waited for, and the age of a run is told by its task.
        self._latest_ask = max(int(self._now() * 1000), self._latest_ask + 1)  # tells asks apart that join one run
        task = TaskId(call.observer.thread_id, call.observer.run_id, self._latest_ask)
        return self._task(
            task.sealed(assistant.task_sealer(), assistant.owner),
            task,
            Status.WORKING,
            message=f"Contit is working on it. {MAYBE_TWICE}" if report.maybe_twice else "Contit is working on it.",
        )

    @contextmanager
    def _told(self, ctx: Request) -> Iterator[Account]:
        """One look at a task: accounted for as a call is, and our errors made the protocol's."""
        asked = ctx.method.startswith("tasks/")  # otherwise a stream looks again and again: too many lines
        name = ctx.method if asked else "notifications/tasks"
        with accounted(name, ctx, self._bridge, level=logging.INFO if asked else logging.DEBUG) as account:
            try:
                yield account
            except ContitError as error:
                account.facts["outcome"] = type(error).__name__
                raise MCPError(INTERNAL_ERROR, f"{error.message} {error.hint}") from error
            except Exception as error:
                log.exception("call.crashed", tool=name)
                unexpected = UnexpectedError()
                account.facts["outcome"] = type(unexpected).__name__
                raise MCPError(INTERNAL_ERROR, f"{unexpected.message} {unexpected.hint}") from error

    def _open(self, task_id: str, account: Account, ctx: Request) -> "tuple[OwnedAssistant, TaskId] | None":
        assistant = account.open_assistant(self._bridge, ctx)
        opened = open_task_id(task_id, assistant.task_sealer(), assistant.owner, now=self._now())
        if opened is None:
            account.facts["outcome"] = "unknown"
            return None
        account.observer.started(opened.thread_id, opened.run_id)
        return assistant, opened

    def _found(self, task_id: str, task: TaskId, glance: Glance) -> Task:
        report, ended_at = glance.report, glance.report.ended_at
        if glance.cancelled:
            message = "Cancelled. The run goes on at Contit, which has no cancel; its answer is not waited for."
            return self._task(task_id, task, Status.CANCELLED, message=message)
        if glance.failure is not None:
            return self._task(task_id, task, Status.COMPLETED, ended_at, result=error_result(glance.failure))
        if report.phase is Phase.COMPLETED:
            return self._task(task_id, task, Status.COMPLETED, ended_at, result=answer_result(report))
        seconds = max(0.0, self._now() - task.created_at)
        return self._task(task_id, task, Status.WORKING, message=f"Contit is working on it, {seconds:.0f} s so far.")

    def _task(
        self,
        task_id: str,
        task: TaskId,
        status: Status,
        updated_at: float | None = None,
        *,
        message: str | None = None,
        result: CallToolResult | None = None,
    ) -> Task:
        return Task(
            task_id=task_id,
            status=status,
            created_at=task.created_at,
            updated_at=max(task.created_at, updated_at or task.created_at),
            ttl_seconds=TTL_SECONDS,
            poll_seconds=_pause(self._now() - task.created_at),
            message=message,
            result=result,
        )

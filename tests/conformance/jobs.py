"""A source of tasks that works in this process, and the tools that the suite's scenarios about tasks call.

It is what `contit_mcp.tasks` asks of any server, and more than Contit needs: tasks that need input, that fail by the
protocol, and that stop when they are cancelled. It keeps nothing and tells nobody apart.
"""

import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError

from contit_mcp.tasks.extension import Status, Support, Task, TasksExtension, TaskSource
from tests.conformance.fixtures import form

Request = ServerRequestContext[Any, Any]

SUPPORT = {
    "slow_compute": Support.OPTIONAL,
    "protocol_error_job": Support.OPTIONAL,
    "failing_job": Support.REQUIRED,
    "confirm_delete": Support.REQUIRED,
    "multi_input": Support.REQUIRED,
    "test_tool_with_task": Support.REQUIRED,
}


@dataclass
class Job:
    """The work of one call."""

    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: float = field(default_factory=time.time)
    result: types.CallToolResult | None = None
    error: types.ErrorData | None = None
    cancelled: bool = False
    outstanding: dict[str, types.ElicitRequest] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    answered: anyio.Event = field(default_factory=anyio.Event)

    @property
    def ended(self) -> bool:
        return self.cancelled or self.result is not None or self.error is not None

    async def ask(self, requests: dict[str, types.ElicitRequest]) -> dict[str, Any]:
        self.outstanding = dict(requests)
        await self.answered.wait()
        return self.answers

    def take(self, responses: dict[str, Any]) -> None:
        for key in [key for key in responses if key in self.outstanding]:
            del self.outstanding[key]
            self.answers[key] = responses[key]
        if self.answers and not self.outstanding:
            self.answered.set()

    def task(self) -> Task:
        status = Status.INPUT_REQUIRED if self.outstanding else Status.WORKING
        if self.ended:
            status = Status.FAILED if self.error else Status.COMPLETED if self.result else Status.CANCELLED
        return Task(
            task_id=self.task_id,
            status=status,
            created_at=self.created_at,
            updated_at=time.time(),
            ttl_seconds=600.0,
            poll_seconds=0.2,
            result=self.result,
            error=self.error,
            input_requests={} if self.ended else dict(self.outstanding),
        )


CURRENT: ContextVar[Job] = ContextVar("CURRENT")  # the job that a tool works for


class Jobs:
    """The source. Jobs go on in `background` after their call has returned."""

    def __init__(self, background: TaskGroup) -> None:
        self._background = background
        self._jobs: dict[str, Job] = {}

    def support(self, tool_name: str) -> Support:
        return SUPPORT.get(tool_name, Support.NEVER)

    async def create(
        self, params: types.CallToolRequestParams, ctx: Request, call_next: CallNext
    ) -> Task | HandlerResult:
        if params.name == "test_tool_with_task" and not params.input_responses:
            return await call_next(ctx)  # it asks before there is a task
        job = Job()
        self._jobs[job.task_id] = job
        self._background.start_soon(self._work, job, ctx, call_next)
        return job.task()

    async def get(self, task_id: str, ctx: Request) -> Task | None:
        return self._jobs[task_id].task() if task_id in self._jobs else None

    async def update(self, task_id: str, responses: dict[str, Any], ctx: Request) -> bool:
        if task_id in self._jobs:
            self._jobs[task_id].take(responses)
        return task_id in self._jobs

    async def cancel(self, task_id: str, ctx: Request) -> bool:
        job = self._jobs.get(task_id)
        if job is not None and not job.ended:
            job.cancelled = True
            job.scope.cancel()
        return job is not None

    @staticmethod
    async def _work(job: Job, ctx: Request, call_next: CallNext) -> None:
        CURRENT.set(job)
        with job.scope:
            try:
                result = await call_next(ctx)
            except MCPError as error:
                job.error = error.error
            else:
                assert isinstance(result, types.CallToolResult)
                job.result = result


def greet(name: str) -> str:
    return f"Hello, {name}!"


async def slow_compute(seconds: float, label: str = "") -> str:
    await anyio.sleep(seconds)
    return f"{label} took {seconds} s"


async def failing_job() -> types.CallToolResult:
    await anyio.sleep(1)
    return types.CallToolResult(content=[types.TextContent(type="text", text="the job failed")], is_error=True)


async def protocol_error_job() -> str:
    raise MCPError(types.INTERNAL_ERROR, "the job broke")


async def confirm_delete(filename: str) -> str:
    answers = await CURRENT.get().ask({"confirm": form(f"Delete {filename}?", "confirm", "boolean")})
    return f"{filename}: {answers['confirm']['action']}"


async def multi_input() -> str:
    asked = {"first": form("Who?", "name"), "second": form("Really?", "confirm", "boolean")}
    answers = await CURRENT.get().ask(asked)
    return ", ".join(sorted(answers))


def create_tasks_server(source: TaskSource) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer(name="fixtures", extensions=[TasksExtension(source)], version="1")
    for tool in (greet, slow_compute, failing_job, protocol_error_job, confirm_delete, multi_input):
        server.add_tool(tool, description=tool.__name__)
    return server

"""A source of tasks that works in this process, and the tools that the suite's scenarios about tasks call.

It uses all of `contit_mcp.tasks`, which is more than Contit needs: tasks that need input, that fail by an error of the
protocol, and that stop when they are cancelled. Tasks are in memory, and any caller has all of them.
"""

import time
import uuid
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError

from contit_mcp.tasks.extension import Status, Support, Task, TasksExtension, TaskSource
from tests.conformance.fixtures import form

Request = ServerRequestContext[Any, Any]

SUPPORT = {
    **dict.fromkeys(("slow_compute", "protocol_error_job"), Support.OPTIONAL),
    **dict.fromkeys(("failing_job", "confirm_delete", "multi_input", "test_tool_with_task"), Support.REQUIRED),
}


class Job:
    """The work of one call, and its task as it is now."""

    def __init__(self) -> None:
        self.task = Task(
            task_id=str(uuid.uuid4()),
            status=Status.WORKING,
            created_at=time.time(),
            updated_at=time.time(),
            ttl_seconds=600,
            poll_seconds=0.2,
        )
        self.scope = anyio.CancelScope()
        self._answers: dict[str, Any] = {}
        self._answered = anyio.Event()

    def change(self, status: Status, **fields: Any) -> None:
        self.task = replace(self.task, status=status, updated_at=time.time(), **{"input_requests": {}, **fields})

    async def ask(self, requests: dict[str, types.ElicitRequest]) -> dict[str, Any]:
        """Ask the client for input, and return its answers once all are there."""
        self.change(Status.INPUT_REQUIRED, input_requests=requests)
        await self._answered.wait()
        return self._answers

    def take(self, responses: dict[str, Any]) -> None:
        asked = self.task.input_requests
        self._answers |= {key: response for key, response in responses.items() if key in asked}
        if outstanding := {key: request for key, request in asked.items() if key not in responses}:
            self.change(Status.INPUT_REQUIRED, input_requests=outstanding)
        elif asked:
            self.change(Status.WORKING)
            self._answered.set()


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
        self._jobs[job.task.task_id] = job
        self._background.start_soon(self._work, job, ctx, call_next)
        return job.task

    async def get(self, task_id: str, ctx: Request) -> Task | None:
        return self._jobs[task_id].task if task_id in self._jobs else None

    async def update(self, task_id: str, responses: dict[str, Any], ctx: Request) -> bool:
        if task_id in self._jobs:
            self._jobs[task_id].take(responses)
        return task_id in self._jobs

    async def cancel(self, task_id: str, ctx: Request) -> bool:
        job = self._jobs.get(task_id)
        if job is not None and not job.task.status.terminal:
            job.change(Status.CANCELLED)
            job.scope.cancel()
        return job is not None

    @staticmethod
    async def _work(job: Job, ctx: Request, call_next: CallNext) -> None:
        CURRENT.set(job)
        with job.scope:
            try:
                result = await call_next(ctx)
            except MCPError as error:
                job.change(Status.FAILED, error=error.error)
            else:
                job.change(Status.COMPLETED, result=result)


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


def create_tasks_server(source: TaskSource, *tools: Tool) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("fixtures", tools=[*tools], extensions=[TasksExtension(source)], version="1")
    for tool in (greet, slow_compute, failing_job, protocol_error_job, confirm_delete, multi_input):
        server.add_tool(tool, description=tool.__name__)
    return server

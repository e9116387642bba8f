"""A source of tasks that works in this process, for the tools that the conformance suite calls.

It is what `contit_mcp.tasks` asks of any server, and more than Contit needs: tasks that need input, that fail by the
protocol, and that stop when they are cancelled. It keeps nothing and tells nobody apart.
"""

import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, CallToolResult, ElicitRequest, ErrorData

from contit_mcp.tasks.extension import Status, Support, Task

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
    updated_at: float = field(default_factory=time.time)
    result: CallToolResult | None = None
    error: ErrorData | None = None
    cancelled: bool = False
    outstanding: dict[str, ElicitRequest] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    answered: anyio.Event = field(default_factory=anyio.Event)

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.cancelled or self.result is not None or self.error is not None

    async def ask(self, requests: dict[str, ElicitRequest]) -> dict[str, Any]:
        """Ask the client, and wait for all answers."""
        self.outstanding = dict(requests)
        self.updated_at = time.time()
        await self.answered.wait()
        return self.answers

    def take(self, responses: dict[str, Any]) -> None:
        """Take those answers that were asked for; each once."""
        for key in [key for key in responses if key in self.outstanding]:
            del self.outstanding[key]
            self.answers[key] = responses[key]
            self.updated_at = time.time()
        if self.answers and not self.outstanding:
            self.answered.set()

    def task(self) -> Task:
        """As the protocol wants it."""
        status = Status.INPUT_REQUIRED if self.outstanding else Status.WORKING
        if self.ended:
            status = Status.FAILED if self.error else Status.COMPLETED if self.result else Status.CANCELLED
        return Task(
            task_id=self.task_id,
            status=status,
            created_at=self.created_at,
            updated_at=self.updated_at,
            ttl_seconds=600.0,
            poll_seconds=0.2,
            result=self.result,
            error=self.error,
            input_requests={} if self.ended else dict(self.outstanding),
        )


CURRENT: ContextVar[Job] = ContextVar("CURRENT")
"""The job that a tool works for."""


class Jobs:
    """See the module.

    Args:
        background: Where jobs go on after their call has returned.
    """

    def __init__(self, background: TaskGroup) -> None:
        self._background = background
        self._jobs: dict[str, Job] = {}

    def support(self, tool_name: str) -> Support:
        return SUPPORT.get(tool_name, Support.NEVER)

    async def create(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> Task | HandlerResult:
        if params.name == "test_tool_with_task" and not params.input_responses:
            return await call_next(ctx)  # it asks before there is a task
        job = Job()
        self._jobs[job.task_id] = job
        self._background.start_soon(self._work, job, ctx, call_next)
        return job.task()

    async def get(self, task_id: str, ctx: ServerRequestContext[Any, Any]) -> Task | None:
        job = self._jobs.get(task_id)
        return None if job is None else job.task()

    async def update(self, task_id: str, responses: dict[str, Any], ctx: ServerRequestContext[Any, Any]) -> bool:
        job = self._jobs.get(task_id)
        if job is not None:
            job.take(responses)
        return job is not None

    async def cancel(self, task_id: str, ctx: ServerRequestContext[Any, Any]) -> bool:
        job = self._jobs.get(task_id)
        if job is not None and not job.ended:
            job.cancelled, job.updated_at = True, time.time()
            job.scope.cancel()
        return job is not None

    @staticmethod
    async def _work(job: Job, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> None:
        CURRENT.set(job)
        with job.scope:
            try:
                result = await call_next(ctx)
            except MCPError as error:
                job.error = error.error
            else:
                assert isinstance(result, CallToolResult)
                job.result = result
        job.updated_at = time.time()

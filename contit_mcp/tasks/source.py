"""The seam between the protocol and whatever does the work."""

from enum import Enum
from typing import Any, Protocol

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolRequestParams

from contit_mcp.tasks.task import Task


class Support(Enum):
    """Whether a tool's calls become tasks, for clients that declare the extension."""

    NEVER = "never"
    OPTIONAL = "optional"
    """They may; for other clients the call runs as ever."""
    REQUIRED = "required"
    """They always do; other clients are told which capability they miss."""


class TaskSource(Protocol):
    """Whatever does the work. Each method gets the request, to tell who asks from it.

    A task is there for its owner alone: whoever else asks gets what an id gets that never was. Every method but
    `support` may raise `MCPError`, which its client gets as it is.
    """

    def support(self, tool_name: str) -> Support:
        """Whether calls of this tool become tasks."""
        ...

    async def create(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> Task | HandlerResult:
        """Begin the work of a call, and return its task once `get` would find it, wherever it is asked.

        What needs no task (a refusal, a question to the client before the work, an answer that is there at once) is
        returned as the call's own result; `await call_next(ctx)` makes the call as if there were no tasks.
        """
        ...

    async def get(self, task_id: str, ctx: ServerRequestContext[Any, Any]) -> Task | None:
        """The task as it stands; None when this caller has none of that id. It returns at once."""
        ...

    async def update(self, task_id: str, responses: dict[str, Any], ctx: ServerRequestContext[Any, Any]) -> bool:
        """Take responses to input requests, and say whether this caller has the task.

        Responses to keys that are not outstanding are ignored; some may come now and the rest later.
        """
        ...

    async def cancel(self, task_id: str, ctx: ServerRequestContext[Any, Any]) -> bool:
        """Take note that the client no longer wants the task, and say whether this caller has it.

        Nothing need stop, and a task that has ended stays as it is.
        """
        ...

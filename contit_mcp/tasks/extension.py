"""The extension on the SDK's own interface: calls that become tasks, and the three methods about them."""

from collections.abc import Sequence
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolRequestParams, RequestParams

from contit_mcp.tasks.requests import IDENTIFIER, VERSIONS, check_declared, check_task_name, declares_tasks
from contit_mcp.tasks.source import Support, TaskSource
from contit_mcp.tasks.task import Task


class TaskParams(RequestParams):
    """Parameters of all three methods; checked by the handlers, after what concerns the client as a whole."""

    task_id: Any = None
    input_responses: Any = None


class TasksExtension(Extension):
    """Serves tasks: `MCPServer(..., extensions=[TasksExtension(source)])`.

    Args:
        source: Does the work.
    """

    identifier = IDENTIFIER

    def __init__(self, source: TaskSource) -> None:
        self._source = source

    def methods(self) -> Sequence[MethodBinding]:
        """`tasks/get`, `tasks/update` and `tasks/cancel`."""
        handlers = {"get": self._get, "update": self._update, "cancel": self._cancel}
        return [MethodBinding(f"tasks/{name}", TaskParams, handler, VERSIONS) for name, handler in handlers.items()]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Make a task of the call where the tool and the client support it."""
        support = self._source.support(params.name)
        if support is Support.REQUIRED:
            check_declared(ctx)
        if support is Support.NEVER or not declares_tasks(ctx):
            return await call_next(ctx)
        made = await self._source.create(params, ctx, call_next)
        return made.created() if isinstance(made, Task) else made

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        task = await self._source.get(_task_id(ctx, params), ctx)
        if task is None:
            raise _unknown()
        return task.detailed(ctx.protocol_version)

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        task_id, responses = _task_id(ctx, params), params.input_responses
        if not isinstance(responses, dict):
            raise MCPError(INVALID_PARAMS, "inputResponses must be an object: each response by the key of its request.")
        if not await self._source.update(task_id, responses, ctx):
            raise _unknown()
        return {}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        if not await self._source.cancel(_task_id(ctx, params), ctx):
            raise _unknown()
        return {}


def _task_id(ctx: ServerRequestContext[Any, Any], params: TaskParams) -> str:
    """The task that is meant, once the client and its headers are in order."""
    check_declared(ctx)
    if not isinstance(params.task_id, str):
        raise MCPError(INVALID_PARAMS, "taskId must be a string: the taskId of a task, exactly as it was returned.")
    check_task_name(ctx, params.task_id)
    return params.task_id


def _unknown() -> MCPError:
    """One wording for ids that never were, are no more, or are somebody else's."""
    return MCPError(INVALID_PARAMS, "Task not found: the id is not known here, or has expired.")

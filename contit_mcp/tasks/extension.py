"""The Tasks extension: calls that become tasks, and the three methods about them. `source` is a `TaskSource`.

MCPServer("name", extensions=[TasksExtension(source)])
add_tasks(server, source, call_tool)     # the low-level Server, with its own handler of `tools/call`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any, Protocol

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, RequestHandler, compose_tool_call_handler
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import CallToolRequestParams
from mcp_types.methods import serialize_server_result
from pydantic import BaseModel

IDENTIFIER = "io.modelcontextprotocol/tasks"
VERSIONS = frozenset({"2026-07-28"})  # in which the extension is defined; its methods do not exist in others

Request = ServerRequestContext[Any, Any]


class Status(StrEnum):
    """The status of a task; the last three are final."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Return whether the status is final."""
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task at one moment. Times are seconds since the epoch."""

    task_id: str  # cannot be guessed
    status: Status
    created_at: float
    updated_at: float
    ttl_seconds: float | None  # how long after its creation it can be polled; None for ever
    poll_seconds: float | None = None  # how long a client should pause before it asks again
    message: str | None = None  # for a user or a model
    result: types.CallToolResult | None = None  # if completed: that of the call, also if it is an error of the tool
    error: types.ErrorData | None = None  # if failed: the JSON-RPC error of the call
    input_requests: types.InputRequests = field(default_factory=dict)  # if input is required: by key, each used once

    def created(self) -> dict[str, Any]:
        """Return the result of the call that created it (`CreateTaskResult`)."""
        return {"resultType": "task", **self._metadata()}

    def detailed(self, protocol_version: str) -> dict[str, Any]:
        """Return the result of `tasks/get` (`DetailedTask`)."""
        wire = self._metadata()
        if self.result is not None:
            wire["result"] = serialize_server_result("tools/call", protocol_version, dumped(self.result))
        if self.error is not None:
            wire["error"] = dumped(self.error)
        if self.input_requests:
            wire["inputRequests"] = {key: dumped(request) for key, request in self.input_requests.items()}
        return wire

    def _metadata(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "taskId": self.task_id,
            "status": self.status.value,
            "createdAt": _iso(self.created_at),
            "lastUpdatedAt": _iso(self.updated_at),
            "ttlMs": None if self.ttl_seconds is None else _milliseconds(self.ttl_seconds),
        }
        if self.poll_seconds is not None and not self.status.terminal:
            wire["pollIntervalMs"] = _milliseconds(self.poll_seconds)
        if self.message is not None:
            wire["statusMessage"] = self.message
        return wire


def dumped(model: BaseModel) -> dict[str, Any]:
    """Return a model of the protocol as it is sent."""
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # the specification requires a whole positive number


class Support(Enum):
    """Whether a tool's calls become tasks, for clients that declare the extension."""

    NEVER = "never"
    OPTIONAL = "optional"  # for other clients the call runs as usual
    REQUIRED = "required"  # other clients get an error that names the missing capability


class TaskSource(Protocol):
    """Does the work behind the tasks. Each method gets the request, which identifies the caller.

    A task exists for its owner only: any other caller gets the answer for an unknown id. Every method but `support`
    may raise `MCPError`, which its client gets unchanged.
    """

    def support(self, tool_name: str) -> Support:
        """Return whether calls of this tool become tasks."""

    async def create(self, params: CallToolRequestParams, ctx: Request, call_next: CallNext) -> Task | HandlerResult:
        """Start the work of a call, and return its task once `get` finds it in every process.

        A call that needs no task returns its own result; `await call_next(ctx)` makes it as if there were no tasks.
        """

    async def get(self, task_id: str, ctx: Request) -> Task | None:
        """Return the task as it is now, without waiting; None if this caller has no task with that id."""

    async def update(self, task_id: str, responses: dict[str, Any], ctx: Request) -> bool:
        """Take responses to input requests, ignoring unknown keys, and return whether this caller has the task."""

    async def cancel(self, task_id: str, ctx: Request) -> bool:
        """Note that the client no longer wants the task, and return whether this caller has it. Idempotent."""


class TaskParams(types.RequestParams):
    """Parameters of all three methods. The handlers check them, after the version and the client's capability."""

    task_id: Any = None
    input_responses: Any = None


def add_tasks(server: Server[Any], source: TaskSource, call_tool: RequestHandler) -> None:
    """Register the extension with a server whose handler of `tools/call` is `call_tool`."""
    extension = TasksExtension(source)
    server.extensions[IDENTIFIER] = extension.settings()
    server.add_request_handler("tools/call", CallToolRequestParams, compose_tool_call_handler([extension], call_tool))
    for method in extension.methods():
        server.add_request_handler(method.method, method.params_type, method.handler)


def declares_tasks(ctx: Request) -> bool:
    """Return whether this request comes from a client that declares the extension."""
    capabilities = ctx.session.client_capabilities
    declared = capabilities.extensions if capabilities is not None else None
    return ctx.protocol_version in VERSIONS and declared is not None and IDENTIFIER in declared


class TasksExtension(Extension):
    """The extension on the SDK's interface."""

    identifier = IDENTIFIER

    def __init__(self, source: TaskSource) -> None:
        self._source = source

    def methods(self) -> Sequence[MethodBinding]:
        """Return `tasks/get`, `tasks/update` and `tasks/cancel`; each checks the protocol version itself."""
        handlers = {"get": self._get, "update": self._update, "cancel": self._cancel}
        return [MethodBinding(f"tasks/{name}", TaskParams, handler) for name, handler in handlers.items()]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Request, call_next: CallNext
    ) -> HandlerResult:
        """Make a task of the call where the tool and the client support it."""
        support = self._source.support(params.name)
        if support is Support.REQUIRED:
            _check_declared(ctx)
        if support is Support.NEVER or not declares_tasks(ctx):
            return await call_next(ctx)
        made = await self._source.create(params, ctx, call_next)
        return made.created() if isinstance(made, Task) else made

    async def _get(self, ctx: Request, params: TaskParams) -> HandlerResult:
        task = await self._source.get(_task_id(ctx, params), ctx)
        if task is None:
            raise unknown_task()
        return task.detailed(ctx.protocol_version)

    async def _update(self, ctx: Request, params: TaskParams) -> HandlerResult:
        task_id, responses = _task_id(ctx, params), params.input_responses
        if not isinstance(responses, dict):
            raise MCPError(types.INVALID_PARAMS, "inputResponses must be an object: a response for each key.")
        if not await self._source.update(task_id, responses, ctx):
            raise unknown_task()
        return {}

    async def _cancel(self, ctx: Request, params: TaskParams) -> HandlerResult:
        if not await self._source.cancel(_task_id(ctx, params), ctx):
            raise unknown_task()
        return {}


def _task_id(ctx: Request, params: TaskParams) -> str:
    """Return the id of the task; raise MCPError for a wrong version, capability, id or header."""
    if ctx.protocol_version not in VERSIONS:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
    _check_declared(ctx)
    if not isinstance(params.task_id, str):
        raise MCPError(types.INVALID_PARAMS, "taskId must be a string: that of a task, exactly as it was returned.")
    # A proxy may have routed by the header. A request without it passes: fastmcp-tasks 4.1.2 does not send it.
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    named = headers.get(MCP_NAME_HEADER)
    if named is not None and decode_header_value(named) != params.task_id:
        raise MCPError(types.HEADER_MISMATCH, "The header Mcp-Name does not match the request's taskId.")
    return params.task_id


def _check_declared(ctx: Request) -> None:
    if not declares_tasks(ctx):
        message = f"This needs a client that declares {IDENTIFIER} in protocol {', '.join(sorted(VERSIONS))}."
        missing: dict[str, Any] = {"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, message, missing)


def unknown_task() -> MCPError:
    """Return the one error for ids that never existed, have expired, or belong to another caller."""
    return MCPError(types.INVALID_PARAMS, "Task not found: the id is not known here, or has expired.")

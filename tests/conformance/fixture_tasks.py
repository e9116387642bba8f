"""The tools that the suite's scenarios about tasks call, on our tasks module."""

from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    TextContent,
)

from contit_mcp.tasks.extension import TasksExtension, TaskSource
from tests.conformance.jobs import CURRENT


def greet(name: str) -> str:
    """Greets."""
    return f"Hello, {name}!"


async def slow_compute(seconds: float, label: str = "") -> str:
    """Takes its time."""
    await anyio.sleep(seconds)
    return f"{label} took {seconds} s"


async def failing_job() -> CallToolResult:
    """Ends with an error of the tool."""
    await anyio.sleep(1)
    return CallToolResult(content=[TextContent(type="text", text="the job failed")], is_error=True)


async def protocol_error_job() -> str:
    """Ends with an error of the protocol."""
    raise MCPError(INTERNAL_ERROR, "the job broke")


async def confirm_delete(filename: str) -> str:
    """Asks once while it works."""
    answers = await CURRENT.get().ask({"confirm": _question(f"Delete {filename}?", "confirm", "boolean")})
    return f"{filename}: {answers['confirm']['action']}"


async def multi_input() -> str:
    """Asks two things at once while it works."""
    answers = await CURRENT.get().ask(
        {
            "first": _question("Who?", "name", "string"),
            "second": _question("Really?", "confirm", "boolean"),
        }
    )
    return ", ".join(sorted(answers))


async def test_tool_with_task(ctx: Context[Any, Any]) -> CallToolResult | InputRequiredResult:
    """Asks before it becomes a task."""
    answer = (ctx.input_responses or {}).get("user_name")
    if not isinstance(answer, ElicitResult):
        return InputRequiredResult(input_requests={"user_name": _question("Who are you?", "name", "string")})
    return CallToolResult(content=[TextContent(type="text", text=f"Hello, {(answer.content or {}).get('name')}!")])


def _question(message: str, name: str, kind: str) -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def create_tasks_server(source: TaskSource) -> MCPServer[Any]:
    """Return a server on which the tools that `jobs.SUPPORT` names become tasks."""
    server: MCPServer[Any] = MCPServer(name="fixtures", extensions=[TasksExtension(source)], version="1")
    for tool in (
        greet, slow_compute, failing_job, protocol_error_job, confirm_delete, multi_input, test_tool_with_task,
    ):  # fmt: skip
        server.add_tool(tool)
    return server

"""The MCP server: its name, its tools, and the way a call takes."""

from collections.abc import Callable, Sequence
from typing import Any

from mcp import MCPError
from mcp.server.context import ServerMiddleware
from mcp.server.extension import Extension
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context, Icon, MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, ToolAnnotations
from mcp_types import Tool as ListedTool

from contit_mcp import __version__
from contit_mcp.errors import InvalidArgumentError
from contit_mcp.server.appearance import ICON_DATA_URI, INSTRUCTIONS, WEBSITE
from contit_mcp.server.ask_tasks import AskTasks
from contit_mcp.server.bridge import Bridge
from contit_mcp.server.calls import run_call
from contit_mcp.server.results import error_result
from contit_mcp.server.tools.ask import contit_ask
from contit_mcp.server.tools.probe import contit_probe
from contit_mcp.server.tools.response import contit_response
from contit_mcp.server.tools.start import contit_start
from contit_mcp.server.tools.status import contit_status
from contit_mcp.tasks.extension import TasksExtension
from contit_mcp.tasks.notifications import TaskNotifications

_BEGINS_A_RUN = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)
_MEASURES = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ONLY_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True)


class ContitServer(MCPServer[Any]):
    """An MCP server whose calls go through `run_call`: our argument rules, our errors, one log line each."""

    def __init__(
        self,
        bridge: Bridge,
        tools: list[Tool],
        *,
        extensions: Sequence[Extension] = (),
        middleware: Sequence[ServerMiddleware[Any]] = (),
    ) -> None:
        super().__init__(
            name="contit-assistant",
            title="Contit Assistant",
            description="Ask the AI assistant of the Contit CMS about your content.",
            instructions=INSTRUCTIONS,
            website_url=WEBSITE,
            icons=[Icon(src=ICON_DATA_URI, mime_type="image/svg+xml", sizes=["any"])],
            version=__version__,
            tools=tools,
            extensions=extensions,
            middleware=middleware,
        )
        self._bridge = bridge
        self._tools = {tool.name: tool for tool in tools}
        self.on_listed: Callable[[], None] = lambda: None

    @property
    def protocol(self) -> Server[Any]:
        """The SDK's protocol server, for a transport that brings its own streams."""
        return self._lowlevel_server

    async def list_tools(self) -> list[ListedTool]:
        """The four tools."""
        listed = await super().list_tools()
        self.on_listed()
        return listed

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call one of the tools. Whatever goes wrong is in the result."""
        tool = self._tools.get(name)
        if tool is None or context is None:
            return error_result(
                InvalidArgumentError("There is no such tool.", hint=f"The tools are: {', '.join(self._tools)}.")
            )
        result = await run_call(tool, arguments, context.request_context, self._bridge)
        assert isinstance(result, CallToolResult)  # noqa: S101 - tools return nothing else
        return result

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Give a prompt. Of one that is not there the SDK says that the server failed, and logs an error."""
        if name not in {prompt.name for prompt in await self.list_prompts()}:
            raise MCPError(INVALID_PARAMS, "There is no such prompt.")
        return await super().get_prompt(name, arguments, context)


def create_server(bridge: Bridge, kind: type[ContitServer] = ContitServer, *, probe: bool = False) -> ContitServer:
    """The server with its four tools. Configure logging first: building it does so otherwise.

    Args:
        bridge: What the tools stand on.
        kind: A server that has more than ours, for the conformance suite.
        probe: Offer `contit_probe` too.
    """
    tools = create_tools(probe=probe)
    tasks = AskTasks(bridge, ask=tools[0])
    return kind(bridge, tools, extensions=[TasksExtension(tasks)], middleware=[TaskNotifications(tasks)])


def create_tools(*, probe: bool = False) -> list[Tool]:
    """The tools, `contit_ask` first."""
    tools = [
        _tool(contit_ask, "Ask Contit", _BEGINS_A_RUN),
        _tool(contit_start, "Start a question to Contit", _BEGINS_A_RUN),
        _tool(contit_status, "Status of a Contit run", _ONLY_READS),
        _tool(contit_response, "Answer of a Contit run", _ONLY_READS),
    ]
    return [*tools, _tool(contit_probe, "Measure this host", _MEASURES)] if probe else tools


def _tool(function: Any, title: str, annotations: ToolAnnotations) -> Tool:
    tool = Tool.from_function(function, title=title, annotations=annotations, context_kwarg="call")
    # Titles that repeat the names cost tokens; unknown arguments are refused, so the schema says so.
    tool.parameters = {**_without_titles(tool.parameters), "additionalProperties": False}
    output = tool.fn_metadata.output_schema or {}
    tool.fn_metadata.output_schema = {**_without_titles(output), "additionalProperties": False}
    return tool


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    noise = {"title", "default"}  # the only default is null, which means absent
    properties = {
        name: {key: value for key, value in field.items() if key not in noise}
        for name, field in schema["properties"].items()
    }
    return {key: value for key, value in schema.items() if key not in {"title", "description"}} | {
        "properties": properties
    }

"""The server for clients in the same process: the SDK's high-level `MCPServer`, which all of them accept.

FastMCP's client, and those of LangChain and pydantic-ai that are built on it, take no low-level server. The public
methods of `MCPServer` are overridden, so that results and errors are those of the handlers, not rewritten by the SDK.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mcp_types as types
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError
from pydantic import AnyUrl

from contit_mcp.errors import ContitError
from contit_mcp.server import resources
from contit_mcp.server.card import AnswerCard
from contit_mcp.server.context import AppContext
from contit_mcp.server.prompts import complete_prompt, get_prompt, list_prompts
from contit_mcp.server.request_state import Caller
from contit_mcp.server.server import CACHE_HINTS, NAME, PRESENTATION, Handlers
from contit_mcp.server.tasks import AskTasks
from contit_mcp.tasks.extension import TasksExtension


class InProcessServer(MCPServer[None]):
    """The server with its tools, prompts and resources.

    Args:
        context: What the calls share; its connections are closed when the last client has left.
    """

    def __init__(self, context: AppContext) -> None:
        self._contit = context
        self._calls = Handlers(context, probe=False)
        with _logging_unchanged():
            super().__init__(
                NAME,
                **PRESENTATION,
                lifespan=lambda _: context.in_use(),
                extensions=[TasksExtension(AskTasks(context, self._calls.tools["contit_ask"]))],
                middleware=[AnswerCard()] if context.settings.card else None,
                subscriptions=False,
                cache_hints=CACHE_HINTS,
            )
        self.completion()(self._complete)  # type: ignore[no-untyped-call]

    async def list_tools(self) -> list[types.Tool]:
        """Return the four tools."""
        return [tool.listed for tool in self._calls.tools.values()]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[None, Any] | None = None
    ) -> types.CallToolResult | types.InputRequiredResult:
        """Call a tool for a client."""
        params = types.CallToolRequestParams(name=name, arguments=arguments)
        return await self._calls.call_tool(_of_a_client(context).request_context, params)

    async def list_prompts(self) -> list[types.Prompt]:
        """Return the prompts."""
        return list_prompts().prompts

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[None, Any] | None = None,  # noqa: ARG002 - the same for all
    ) -> types.GetPromptResult | types.InputRequiredResult:
        """Return a prompt."""
        return get_prompt(name, arguments)

    async def list_resources(self) -> list[types.Resource]:
        """Return the resources; the latest answers are among them."""
        try:
            answers = await resources.list_answers(self._contit.tenant(Caller()))
        except ContitError:
            answers = []
        return [*resources.static_resources(), *answers]

    async def list_resource_templates(self) -> list[types.ResourceTemplate]:
        """Return the template of a whole answer."""
        return resources.templates().resource_templates

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[None, Any] | None = None
    ) -> Iterable[ReadResourceContents] | types.InputRequiredResult:
        """Return the contents of a resource for a client."""
        params = types.ReadResourceRequestParams(uri=str(uri))
        found = await self._calls.read_resource(_of_a_client(context).request_context, params)
        texts = [each for each in found.contents if isinstance(each, types.TextResourceContents)]
        return [ReadResourceContents(content=each.text, mime_type=each.mime_type) for each in texts]

    async def _complete(
        self,
        ref: types.PromptReference | types.ResourceTemplateReference,
        argument: types.CompletionArgument,
        context: types.CompletionContext | None,
    ) -> types.Completion:
        if isinstance(ref, types.PromptReference):
            values = complete_prompt(argument.name, argument.value)
        else:
            other = (context.arguments if context else None) or {}
            tenant = self._contit.tenant(Caller())
            values = await resources.complete(argument.name, argument.value, other, tenant)
        return types.Completion(values=values, total=len(values), has_more=False)


def _of_a_client(context: Context[None, Any] | None) -> Context[None, Any]:
    if context is None:
        raise MCPError(
            types.INVALID_REQUEST, "This method serves clients; connect one to the server and call it there."
        )
    return context


@contextmanager
def _logging_unchanged() -> Iterator[None]:
    """Keep the SDK from configuring the logging of the program: it does so unless the root logger has a handler."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)

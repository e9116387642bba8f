"""The resources, prompts and further requests of the conformance suite."""

import base64
import json
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    ImageContent,
    PromptReference,
    ResourceTemplateReference,
    TextResourceContents,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from tests.conformance.fixture_tools import IMAGE

_ACCEPTED = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})


def register(server: MCPServer[Any]) -> None:
    """Put them on a server."""
    _add_resources(server)
    for prompt in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
    ):
        server.add_prompt(Prompt.from_function(prompt))
    server.completion()(_complete)  # type: ignore[no-untyped-call]  # as the SDK has it
    server.middleware.append(_accept)


def _add_resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def binary() -> bytes:
        return base64.b64decode(IMAGE)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002 - the suite's name
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        return "Watched resource content"


def test_simple_prompt() -> list[UserMessage]:
    """Takes no arguments."""
    return [UserMessage("This is a simple prompt for testing.")]


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """Takes two."""
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
    """Holds a resource."""
    text = TextResourceContents(uri=resourceUri, mime_type="text/plain", text="Embedded resource content for testing.")
    return [
        UserMessage(EmbeddedResource(type="resource", resource=text)),
        UserMessage("Please process the embedded resource above."),
    ]


def test_prompt_with_image() -> list[UserMessage]:
    """Holds an image."""
    return [
        UserMessage(ImageContent(type="image", data=IMAGE, mime_type="image/png")),
        UserMessage("Please analyze the image above."),
    ]


async def _complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion:
    values = [value for value in ("paris", "park", "party") if value.startswith(argument.value)]
    return Completion(values=values, total=len(values), has_more=False)


async def _accept(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Let subscriptions and log levels of the handshake era succeed: the suite calls them, the SDK's server has none."""
    accepted = ctx.method in _ACCEPTED and ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
    return {} if accepted else await call_next(ctx)

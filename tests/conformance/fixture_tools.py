"""The tools that the conformance suite calls, as its scenarios describe them."""

from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import Prompt
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""
_SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
"""A WAV without a sample."""

Call = Context[Any, Any]


def register(server: MCPServer[Any]) -> None:
    """Put them on a server."""
    for tool in (
        test_simple_text,
        test_image_content,
        test_audio_content,
        test_embedded_resource,
        test_multiple_content_types,
        test_tool_with_logging,
        test_tool_with_progress,
        test_error_handling,
        test_missing_capability,
        test_x_mcp_header,
    ):
        server.add_tool(tool)
    _add_verbatim_schema(server)
    _add_changing_lists(server)


def test_simple_text() -> str:
    """Answers with text."""
    return "This is a simple text response for testing."


def test_image_content() -> list[ImageContent]:
    """Answers with an image."""
    return [_image()]


def test_audio_content() -> list[AudioContent]:
    """Answers with a sound."""
    return [AudioContent(type="audio", data=_SOUND, mime_type="audio/wav")]


def test_embedded_resource() -> list[EmbeddedResource]:
    """Answers with a resource."""
    return [_resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answers with one of each."""
    resource = _resource("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}')
    return [TextContent(type="text", text="Multiple content types test:"), _image(), resource]


async def test_tool_with_logging(call: Call) -> str:
    """Logs three times on its way."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await call.info(text)
        await anyio.sleep(0.05)
    return "Done."


async def test_tool_with_progress(call: Call) -> str:
    """Reports progress three times on its way."""
    for done in (0, 50, 100):
        await call.report_progress(done, 100, f"{done} of 100")
        await anyio.sleep(0.05)
    return "Done."


def test_error_handling() -> str:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


async def test_missing_capability(call: Call) -> str:
    """Needs a client that can sample."""
    if (can := call.session.client_capabilities) is None or can.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "The client has not declared sampling.",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return "The client has declared sampling."


def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "",  # noqa: PT028 - a tool
) -> str:
    """Has an argument that is repeated in a header (SEP-2243)."""
    return f"region={region}"


def json_schema_2020_12_tool() -> str:
    """Has an input schema of many keywords."""
    return "Done."


def _add_verbatim_schema(server: MCPServer[Any]) -> None:
    server.add_tool(json_schema_2020_12_tool)
    tool = server._tool_manager.get_tool("json_schema_2020_12_tool")
    assert tool is not None
    text = {"type": "string"}
    address = {"type": "object", "properties": {"street": text, "city": text}}
    tool.parameters = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", **address}},
        "properties": {
            "name": text,
            "phone": text,
            "email": text,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    }


def _add_changing_lists(server: MCPServer[Any]) -> None:
    """Tools that change the lists of tools and prompts, and say so to listeners (SEP-2575)."""

    async def test_trigger_tool_change(call: Call) -> str:
        """Changes the list of tools for a moment."""
        server.add_tool(test_simple_text, name="for_a_moment")
        server.remove_tool("for_a_moment")
        await call.notify_tools_changed()
        return "Done."

    async def test_trigger_prompt_change(call: Call) -> str:
        """Changes the list of prompts for a moment."""
        server.add_prompt(Prompt.from_function(test_simple_text, name="for_a_moment"))
        server.remove_prompt("for_a_moment")
        await call.notify_prompts_changed()
        return "Done."

    server.add_tool(test_trigger_tool_change)
    server.add_tool(test_trigger_prompt_change)


def _image() -> ImageContent:
    return ImageContent(type="image", data=IMAGE, mime_type="image/png")


def _resource(uri: str, kind: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text))

"""The tools, prompts and resources that the conformance suite calls, as its scenarios describe them."""

import base64
import json
from typing import Annotated, Any

import anyio
import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.mcpserver.resources import BinaryResource, TextResource
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import Field

_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="  # a PNG of one pixel
)
_SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="  # a WAV without a sample
_ACCEPTED = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})  # answered with {}
_PROMPTS = (
    "test_simple_prompt", "test_prompt_with_arguments", "test_prompt_with_embedded_resource", "test_prompt_with_image",
    "test_input_required_result_prompt",
)  # fmt: skip

Call = Context[Any, Any]
Answered = str | types.InputRequiredResult


def register(server: MCPServer[Any]) -> None:
    """Add all but `schema_tool` to a server. A function whose name begins with `test_` is a prompt or a tool."""
    for name, fixture in globals().items():
        if name in _PROMPTS:
            server.add_prompt(Prompt.from_function(fixture, description=name))
        elif name.startswith("test_"):
            server.add_tool(fixture, name=name, description=name)
    _add_resources(server)
    server.completion()(_complete)  # type: ignore[no-untyped-call]  # as the SDK has it
    server.middleware.append(_accept)


def test_simple_text() -> str:
    return "This is a simple text response for testing."


def test_image_content() -> list[types.ImageContent]:
    return [_image()]


def test_audio_content() -> list[types.AudioContent]:
    return [types.AudioContent(type="audio", data=_SOUND, mime_type="audio/wav")]


def test_embedded_resource() -> list[types.EmbeddedResource]:
    return [_resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


def test_multiple_content_types() -> list[types.TextContent | types.ImageContent | types.EmbeddedResource]:
    resource = _resource("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}')
    return [types.TextContent(type="text", text="Multiple content types test:"), _image(), resource]


async def test_tool_with_logging(call: Call) -> str:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await call.info(text)
        await anyio.sleep(0.05)
    return "Done."


async def test_tool_with_progress(call: Call) -> str:
    for done in (0, 50, 100):
        await call.report_progress(done, 100, f"{done} of 100")
        await anyio.sleep(0.05)
    return "Done."


def test_error_handling() -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


async def test_missing_capability(call: Call) -> str:
    if (can := call.session.client_capabilities) is None or can.sampling is None:
        missing: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "The client has not declared sampling.", data=missing)
    return "The client has declared sampling."


def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "",  # noqa: PT028 - a tool
) -> str:
    """Take an argument that is repeated in a header (SEP-2243)."""
    return f"region={region}"


def json_schema_2020_12_tool() -> str:
    return "Done."


def schema_tool() -> Tool:
    """Return a tool whose input schema has many keywords."""
    tool = Tool.from_function(json_schema_2020_12_tool, description="Has an input schema of many keywords.")
    text = {"type": "string"}
    address = {"type": "object", "properties": {"street": text, "city": text}}
    method = {"type": "string", "enum": ["phone", "email"]}
    tool.parameters = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", **address}},
        "properties": {
            **dict.fromkeys(("name", "phone", "email"), text),
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": method,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    }
    return tool


async def test_trigger_tool_change(call: Call) -> str:
    """Notify listeners of a change, although there is none (SEP-2575)."""
    await call.notify_tools_changed()
    return "Done."


async def test_trigger_prompt_change(call: Call) -> str:
    await call.notify_prompts_changed()
    return "Done."


def _image() -> types.ImageContent:
    return types.ImageContent(type="image", data=_IMAGE, mime_type="image/png")


def _resource(uri: str, kind: str, text: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=kind, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


def _add_resources(server: MCPServer[Any]) -> None:
    text = "This is the content of the static text resource."
    server.add_resource(TextResource(uri="test://static-text", text=text))
    server.add_resource(TextResource(uri="test://watched-resource", text="Watched resource content"))
    image = base64.b64decode(_IMAGE)
    server.add_resource(BinaryResource(uri="test://static-binary", data=image, mime_type="image/png"))

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002 - the suite's name
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def test_simple_prompt() -> list[UserMessage]:
    return [UserMessage("This is a simple prompt for testing.")]


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
    resource = _resource(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]


def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(_image()), UserMessage("Please analyze the image above.")]


async def _complete(
    ref: types.PromptReference | types.ResourceTemplateReference,
    argument: types.CompletionArgument,
    context: types.CompletionContext | None,
) -> types.Completion:
    values = [value for value in ("paris", "park", "party") if value.startswith(argument.value)]
    return types.Completion(values=values, total=len(values), has_more=False)


async def _accept(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    accepted = ctx.method in _ACCEPTED and ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
    return {} if accepted else await call_next(ctx)


# --- tools that ask the client for input in their result, and are called again with its answers (SEP-2322)


def form(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=50))


def _asks(state: str | None = None, **requests: types.InputRequest) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def _given(call: Call, *names: str) -> bool:
    return set(names) <= set(call.input_responses or {})


def _field(call: Call, name: str, field: str) -> str:
    """Return what the user has entered; "?" if nothing."""
    answer = (call.input_responses or {}).get(name)
    return str((answer.content or {}).get(field, "?")) if isinstance(answer, types.ElicitResult) else "?"


async def test_input_required_result_elicitation(call: Call) -> Answered:
    if _given(call, "user_name"):
        return f"Hello, {_field(call, 'user_name', 'name')}!"
    return _asks(user_name=form("What is your name?", "name"))


test_tool_with_task = test_input_required_result_elicitation  # the second call becomes a task


async def test_input_required_result_sampling(call: Call) -> Answered:
    if _given(call, "capital_question"):
        return "Thank you."
    return _asks(capital_question=_sample("What is the capital of France?"))


async def test_input_required_result_list_roots(call: Call) -> Answered:
    return "Thank you." if _given(call, "client_roots") else _asks(client_roots=types.ListRootsRequest())


async def test_input_required_result_request_state(call: Call) -> Answered:
    if _given(call, "confirm") and call.request_state == "asked":
        return "state-ok"
    return _asks("asked", confirm=form("Please confirm", "ok", "boolean"))


async def test_input_required_result_multiple_inputs(call: Call) -> Answered:
    if _given(call, "user_name", "greeting", "client_roots"):
        return "Thank you."
    return _asks(
        "asked",
        user_name=form("What is your name?", "name"),
        greeting=_sample("Generate a greeting"),
        client_roots=types.ListRootsRequest(),
    )


async def test_input_required_result_multi_round(call: Call) -> Answered:
    state = json.loads(call.request_state) if call.request_state else {}
    if "name" in state and _given(call, "step2"):
        return f"{state['name']} likes {_field(call, 'step2', 'color')}."
    if state and _given(call, "step1"):
        known = json.dumps({"name": _field(call, "step1", "name")})
        return _asks(known, step2=form("What is your favourite colour?", "color"))
    return _asks(json.dumps({"round": 1}), step1=form("What is your name?", "name"))


async def test_input_required_result_tampered_state(call: Call) -> Answered:
    if call.request_state is None:
        return _asks("asked", confirm=form("Please confirm", "ok", "boolean"))
    return f"state-ok: {call.request_state}"


async def test_input_required_result_capabilities(call: Call) -> types.InputRequiredResult:
    can = call.client_capabilities
    requests: dict[str, types.InputRequest] = {}
    if can is not None and can.sampling is not None:
        requests["sample"] = _sample("Say hello")
    if can is not None and can.elicitation is not None:
        requests["ask"] = form("What is your name?", "name")
    return _asks("asked", **requests)


async def test_input_required_result_prompt(call: Call) -> list[UserMessage] | types.InputRequiredResult:
    if _given(call, "user_context"):
        return [UserMessage(f"Use the following context: {_field(call, 'user_context', 'context')}")]
    return _asks(user_context=form("What context should the prompt use?", "context"))

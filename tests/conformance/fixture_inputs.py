"""Fixtures that ask back in their result and are called again with the answers (SEP-2322)."""

import json
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

Call = Context[Any, Any]
Answered = str | InputRequiredResult


def register(server: MCPServer[Any]) -> None:
    """Put them on a server."""
    for tool in (
        test_input_required_result_elicitation,
        test_input_required_result_sampling,
        test_input_required_result_list_roots,
        test_input_required_result_request_state,
        test_input_required_result_multiple_inputs,
        test_input_required_result_multi_round,
        test_input_required_result_tampered_state,
        test_input_required_result_capabilities,
    ):
        server.add_tool(tool)
    server.add_prompt(Prompt.from_function(test_input_required_result_prompt))


def _form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=50))


def _asks(state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def _given(call: Call, *names: str) -> bool:
    return set(names) <= set(call.input_responses or {})


def _field(call: Call, name: str, field: str) -> str:
    """What the user has entered; "?" if nothing."""
    answer = (call.input_responses or {}).get(name)
    return str((answer.content or {}).get(field, "?")) if isinstance(answer, ElicitResult) else "?"


async def test_input_required_result_elicitation(call: Call) -> Answered:
    """Asks the user for a name."""
    if _given(call, "user_name"):
        return f"Hello, {_field(call, 'user_name', 'name')}!"
    return _asks(user_name=_form("What is your name?", "name"))


async def test_input_required_result_sampling(call: Call) -> Answered:
    """Asks the client's model for a capital."""
    if _given(call, "capital_question"):
        return "Thank you."
    return _asks(capital_question=_sample("What is the capital of France?"))


async def test_input_required_result_list_roots(call: Call) -> Answered:
    """Asks for the client's roots."""
    return "Thank you." if _given(call, "client_roots") else _asks(client_roots=ListRootsRequest())


async def test_input_required_result_request_state(call: Call) -> Answered:
    """Gets its own state back."""
    if _given(call, "confirm") and call.request_state == "asked":
        return "state-ok"
    return _asks("asked", confirm=_form("Please confirm", "ok", "boolean"))


async def test_input_required_result_multiple_inputs(call: Call) -> Answered:
    """Asks for three things at once."""
    if _given(call, "user_name", "greeting", "client_roots"):
        return "Thank you."
    return _asks(
        "asked",
        user_name=_form("What is your name?", "name"),
        greeting=_sample("Generate a greeting"),
        client_roots=ListRootsRequest(),
    )


async def test_input_required_result_multi_round(call: Call) -> Answered:
    """Asks twice, and remembers the first answer in its state."""
    state = json.loads(call.request_state) if call.request_state else {}
    if "name" in state and _given(call, "step2"):
        return f"{state['name']} likes {_field(call, 'step2', 'color')}."
    if state and _given(call, "step1"):
        known = json.dumps({"name": _field(call, "step1", "name")})
        return _asks(known, step2=_form("What is your favourite colour?", "color"))
    return _asks(json.dumps({"round": 1}), step1=_form("What is your name?", "name"))


async def test_input_required_result_tampered_state(call: Call) -> Answered:
    """Must never see a state that it did not send; the SDK sees to that."""
    if call.request_state is None:
        return _asks("asked", confirm=_form("Please confirm", "ok", "boolean"))
    return f"state-ok: {call.request_state}"


async def test_input_required_result_capabilities(call: Call) -> InputRequiredResult:
    """Asks for nothing that the client cannot do."""
    can = call.client_capabilities
    requests: dict[str, InputRequest] = {}
    if can is not None and can.sampling is not None:
        requests["sample"] = _sample("Say hello")
    if can is not None and can.elicitation is not None:
        requests["ask"] = _form("What is your name?", "name")
    return _asks("asked", **requests)


async def test_input_required_result_prompt(call: Call) -> list[UserMessage] | InputRequiredResult:
    """A prompt that asks back."""
    if _given(call, "user_context"):
        return [UserMessage(f"Use the following context: {_field(call, 'user_context', 'context')}")]
    return _asks(user_context=_form("What context should the prompt use?", "context"))

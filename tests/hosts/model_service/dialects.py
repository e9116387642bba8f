"""How hosts and models write to each other: Anthropic's messages, OpenAI's chat and responses, Gemini's contents."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.hosts.model_service.conversation import Shown, ToolCall

Body = Mapping[str, Any]
Event = tuple[str, Mapping[str, Any]]


def text_of(content: Any) -> str:
    """Return a text, or the joined texts of a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in parts)


def said_in(body: Body) -> str:
    return "\n".join(text_of(message.get("content")) for message in body["messages"] if message["role"] == "user")


def read_messages(body: Body) -> Shown:
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    blocks = [block for content in contents for block in content if block.get("type") == "tool_result"]
    names = tuple(tool["name"] for tool in body.get("tools", ()))
    results = tuple(text_of(block.get("content")) for block in blocks)
    return Shown(names, results, said_in(body))


def messages_turn(turn: ToolCall | str) -> dict[str, Any]:
    if isinstance(turn, str):
        block: dict[str, Any] = {"type": "text", "text": turn}
    else:
        block = {"type": "tool_use", "id": f"toolu_{turn.number}", "name": turn.tool, "input": turn.arguments}
    kind = {"id": "msg_1", "type": "message", "role": "assistant", "model": "stand-in"}
    ends = {"stop_reason": "end_turn" if isinstance(turn, str) else "tool_use", "stop_sequence": None}
    return {**kind, "content": [block], **ends, "usage": {"input_tokens": 10, "output_tokens": 10}}


def messages_events(turn: ToolCall | str) -> Iterator[Event]:
    whole = messages_turn(turn)
    (block,) = whole["content"]
    if isinstance(turn, str):
        start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": turn}
    else:
        start, delta = block | {"input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(turn.arguments)}
    yield "message_start", {"message": whole | {"content": [], "stop_reason": None}}
    yield "content_block_start", {"index": 0, "content_block": start}
    yield "content_block_delta", {"index": 0, "delta": delta}
    yield "content_block_stop", {"index": 0}
    ends = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"delta": ends, "usage": {"output_tokens": 10}}
    yield "message_stop", {}


def read_chat(body: Body) -> Shown:
    names = tuple(tool["function"]["name"] for tool in body.get("tools") or ())
    results = tuple(text_of(message.get("content")) for message in body["messages"] if message["role"] == "tool")
    return Shown(names, results, said_in(body))


def chat_turn(turn: ToolCall | str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn}
    if not isinstance(turn, str):
        function = {"name": turn.tool, "arguments": json.dumps(turn.arguments)}
        call = {"index": 0, "id": f"call_{turn.number}", "type": "function", "function": function}
        message |= {"content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop" if isinstance(turn, str) else "tool_calls"}
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    kind = {"id": "chatcmpl-1", "created": 1, "model": "stand-in", "object": "chat.completion"}
    return {**kind, "choices": [choice], "usage": usage}


def chat_events(turn: ToolCall | str) -> Iterator[Event]:
    whole = chat_turn(turn)
    (choice,) = whole["choices"]
    delta, chunk = {"index": 0, "finish_reason": None}, whole | {"object": "chat.completion.chunk", "usage": None}
    yield "", chunk | {"choices": [delta | {"delta": choice["message"]}]}
    end = delta | {"delta": {}, "finish_reason": choice["finish_reason"]}
    yield "", chunk | {"choices": [end], "usage": whole["usage"]}


def read_responses(body: Body) -> Shown:
    items = body["input"] if isinstance(body["input"], list) else []
    results = tuple(text_of(item["output"]) for item in items if item.get("type") == "function_call_output")
    return Shown(tuple(_names(body.get("tools") or ())), results)


def _names(tools: Iterable[Body]) -> Iterator[str]:
    """Yield the names of functions; those in a namespace as `namespace/name`."""
    for tool in tools:
        if tool.get("type") == "namespace":
            yield from (f"{tool['name']}/{name}" for name in _names(tool["tools"]))
        elif "name" in tool:
            yield tool["name"]


def responses_turn(turn: ToolCall | str) -> dict[str, Any]:
    item: dict[str, Any] = {"status": "completed"}
    if isinstance(turn, str):
        part = {"type": "output_text", "text": turn, "annotations": []}
        item |= {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
    else:
        namespace, _, name = turn.tool.rpartition("/")
        ids = {"id": f"fc_{turn.number}", "call_id": f"call_{turn.number}"}
        item |= {"type": "function_call", **ids, "name": name, "arguments": json.dumps(turn.arguments)}
        item |= {"namespace": namespace} if namespace else {}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": 10, "output_tokens": 10, "total_tokens": 20, **details}
    kind = {"id": "resp_1", "object": "response", "created_at": 1, "model": "stand-in", "status": "completed"}
    tools = {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
    return {**kind, "output": [item], **tools, "usage": usage}


def responses_events(turn: ToolCall | str) -> Iterator[Event]:
    whole = responses_turn(turn)
    (item,) = whole["output"]
    yield "response.created", {"response": whole | {"status": "in_progress", "output": []}}
    yield "response.output_item.added", {"output_index": 0, "item": item | {"status": "in_progress"}}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    yield "response.completed", {"response": whole}


def read_contents(body: Body) -> Shown:
    functions = [function for tool in body.get("tools") or () for function in tool.get("functionDeclarations", ())]
    parts = [part for content in body["contents"] for part in content.get("parts", ()) if "functionResponse" in part]
    results = tuple(json.dumps(part["functionResponse"]["response"], ensure_ascii=False) for part in parts)
    return Shown(tuple(function["name"] for function in functions), results)


def contents_turn(turn: ToolCall | str) -> dict[str, Any]:
    part = {"text": turn} if isinstance(turn, str) else {"functionCall": {"name": turn.tool, "args": turn.arguments}}
    candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stand-in"}

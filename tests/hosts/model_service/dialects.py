"""Reads what a host sends to its model and writes the model's turn, for each of the four APIs."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.hosts.model_service.conversation import Shown, ToolCall

Body = Mapping[str, Any]
Event = tuple[str, Mapping[str, Any]]


def text_of(content: Any) -> str:
    """Text as it is, or the texts of a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in parts)


# Anthropic's messages


def read_messages(body: Body) -> Shown:
    """POST /v1/messages."""
    results = [
        text_of(block.get("content"))
        for message in body["messages"]
        for block in (message["content"] if isinstance(message["content"], list) else [])
        if block.get("type") == "tool_result"
    ]
    names = tuple(tool["name"] for tool in body.get("tools", ()))
    said = "\n".join(text_of(message["content"]) for message in body["messages"] if message["role"] == "user")
    return Shown(names, tuple(results), text_of(body.get("system", "")), said)


def messages_turn(turn: ToolCall | str) -> dict[str, Any]:
    """The whole message."""
    block = (
        {"type": "text", "text": turn}
        if isinstance(turn, str)
        else {"type": "tool_use", "id": f"toolu_{turn.number}", "name": turn.tool, "input": turn.arguments}
    )
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "stand-in",
        "content": [block],
        "stop_reason": "end_turn" if isinstance(turn, str) else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    }


def messages_events(turn: ToolCall | str) -> Iterator[Event]:
    """The same, bit by bit."""
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


# OpenAI's chat completions


def read_chat(body: Body) -> Shown:
    """POST /v1/chat/completions."""
    results = [text_of(message.get("content")) for message in body["messages"] if message["role"] == "tool"]
    names = tuple(tool["function"]["name"] for tool in body.get("tools") or ())
    said = "\n".join(text_of(message.get("content")) for message in body["messages"] if message["role"] == "user")
    return Shown(names, tuple(results), said=said)


def _chat_message(turn: ToolCall | str) -> tuple[dict[str, Any], str]:
    if isinstance(turn, str):
        return {"role": "assistant", "content": turn}, "stop"
    function = {"name": turn.tool, "arguments": json.dumps(turn.arguments)}
    call = {"id": f"call_{turn.number}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


_CHAT = {"id": "chatcmpl-1", "created": 1, "model": "stand-in"}
_USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}


def chat_turn(turn: ToolCall | str) -> dict[str, Any]:
    """The whole completion."""
    message, ends = _chat_message(turn)
    choice = {"index": 0, "message": message, "finish_reason": ends}
    return {**_CHAT, "object": "chat.completion", "choices": [choice], "usage": _USAGE}


def chat_events(turn: ToolCall | str) -> Iterator[Event]:
    """The same, bit by bit."""
    message, ends = _chat_message(turn)
    for index, call in enumerate(message.get("tool_calls", ())):
        call["index"] = index
    chunk = {**_CHAT, "object": "chat.completion.chunk"}
    yield "", chunk | {"choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    yield "", chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": ends}], "usage": _USAGE}


# OpenAI's responses


def read_responses(body: Body) -> Shown:
    """POST /v1/responses."""
    items = body["input"] if isinstance(body["input"], list) else []
    results = [text_of(item["output"]) for item in items if item.get("type") == "function_call_output"]
    return Shown(tuple(_names(body.get("tools") or ())), tuple(results), str(body.get("instructions") or ""))


def _names(tools: Iterable[Body]) -> Iterator[str]:
    """Functions by name; those of a namespace with it before them, as in `namespace/name`."""
    for tool in tools:
        if tool.get("type") == "namespace":
            yield from (f"{tool['name']}/{name}" for name in _names(tool["tools"]))
        elif "name" in tool:
            yield tool["name"]


def responses_turn(turn: ToolCall | str) -> dict[str, Any]:
    """The whole response."""
    item: dict[str, Any]
    if isinstance(turn, str):
        part = {"type": "output_text", "text": turn, "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    else:
        namespace, _, name = turn.tool.rpartition("/")
        item = {
            "type": "function_call",
            "id": f"fc_{turn.number}",
            "call_id": f"call_{turn.number}",
            "name": name,
            "arguments": json.dumps(turn.arguments),
            "status": "completed",
        } | ({"namespace": namespace} if namespace else {})
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 20,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "stand-in",
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def responses_events(turn: ToolCall | str) -> Iterator[Event]:
    """The same, bit by bit."""
    whole = responses_turn(turn)
    (item,) = whole["output"]
    yield "response.created", {"response": whole | {"status": "in_progress", "output": []}}
    yield "response.output_item.added", {"output_index": 0, "item": item | {"status": "in_progress"}}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    yield "response.completed", {"response": whole}


# Gemini


def read_contents(body: Body) -> Shown:
    """POST …:generateContent."""
    results = [
        json.dumps(part["functionResponse"]["response"], ensure_ascii=False)
        for content in body["contents"]
        for part in content.get("parts", ())
        if "functionResponse" in part
    ]
    names = tuple(
        function["name"] for tool in body.get("tools") or () for function in tool.get("functionDeclarations", ())
    )
    return Shown(names, tuple(results))


def contents_turn(turn: ToolCall | str) -> dict[str, Any]:
    """The whole response; as a stream it is one event."""
    part = {"text": turn} if isinstance(turn, str) else {"functionCall": {"name": turn.tool, "args": turn.arguments}}
    candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stand-in"}

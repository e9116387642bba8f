"""The four tools, and `contit_probe`, which `--probe` adds. A new tool is a function and a line in `create_tools`.

The types of a function are the tool's schema, and its docstring is the description. Models often see nothing else, so
each description is complete. No schema has a union: several hosts refuse them.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import mcp_types as types
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import SkipJsonSchema

from contit_mcp.server.results import RunResult, answer_result, state_result
from contit_mcp.tasks.extension import Task

if TYPE_CHECKING:  # `call` needs this module's types in turn
    from contit_mcp.server.call import Call

_Text = str | SkipJsonSchema[None]  # may be left out, although the schema has no union with null
_Number = float | SkipJsonSchema[None]

Prompt = Annotated[
    str,
    Field(
        description="One complete question, in any language. Contit sees this text and its thread, not your"
        " conversation or files: name what you mean. At most 32,000 characters."
    ),
]
FollowUpThreadId = Annotated[
    _Text,
    Field(description="For a follow-up: thread_id of the earlier result, copied exactly. Leave out for a new subject."),
]
ThreadId = Annotated[str, Field(description="thread_id of the result, copied exactly.")]
RunId = Annotated[str, Field(description="run_id of the result, copied exactly.")]
OptionalRunId = Annotated[
    _Text, Field(description="run_id of the result; pass it if you have it. Without it: the thread's latest answer.")
]
WaitSeconds = Annotated[_Number, Field(description="Longest wait in seconds. Leave out: the default fits this host.")]
StatusWaitSeconds = Annotated[
    _Number, Field(description="Longest wait for the end of the run, in seconds. Default 0: return at once.")
]
Offset = Annotated[int | SkipJsonSchema[None], Field(description="For a long answer: next_offset of the part before.")]


async def contit_ask(
    call: "Call", prompt: Prompt, thread_id: FollowUpThreadId = None, wait_seconds: WaitSeconds = None
) -> CallToolResult:
    """Answer a question about the content in the Contit CMS: articles, products, pages, their state (draft, \
published), dates, authors, tags, languages. Contit's assistant looks it up; it only reads and cannot create, change \
or publish anything. Give the user the answer without adding items, numbers or dates of your own. For every follow-up \
pass thread_id of the result. If the result is in_progress, call contit_response with its thread_id and run_id; do not \
ask again."""
    report = await call.tenant.ask(prompt, thread_id, wait_seconds=call.wait(wait_seconds), observer=call)
    return answer_result(report, part_characters=call.context.settings.answer_part_characters)


async def contit_start(call: "Call", prompt: Prompt, thread_id: FollowUpThreadId = None) -> CallToolResult:
    """Start a question to Contit without waiting for its answer. Use it only to have several questions answered \
side by side: call it once for each, then contit_response once for each. For a single question use contit_ask."""
    report = await call.tenant.start(prompt, thread_id, wait_seconds=call.wait(None), observer=call)
    return state_result(report)


async def contit_status(
    call: "Call", thread_id: ThreadId, run_id: RunId, wait_seconds: StatusWaitSeconds = None
) -> CallToolResult:
    """Tell whether a question to Contit is completed, in_progress or failed, without its answer. Rarely needed: \
contit_response waits and returns the answer."""
    wait = call.wait(wait_seconds or 0.0)
    return state_result(await call.tenant.status(thread_id, run_id, wait_seconds=wait, observer=call))


async def contit_response(
    call: "Call",
    thread_id: ThreadId,
    run_id: OptionalRunId = None,
    wait_seconds: WaitSeconds = None,
    offset: Offset = None,
) -> CallToolResult:
    """Get the answer to a question already asked with contit_ask or contit_start; it waits while Contit is still \
working. Call it again with the same ids as long as the result is in_progress."""
    report = await call.tenant.response(thread_id, run_id, wait_seconds=call.wait(wait_seconds), observer=call)
    return answer_result(report, part_characters=call.context.settings.answer_part_characters, offset=offset)


async def contit_probe(
    call: "Call",
    seconds: Annotated[float, Field(description="How long to wait, at most 600.")],
    progress: Annotated[bool, Field(description="Whether to send progress every 10 seconds. Default true.")] = True,  # noqa: FBT002 - a parameter of the tool
) -> CallToolResult:
    """Wait so many seconds, and report how long the call took. It measures how long this host lets a tool call take, \
and asks Contit nothing."""
    call.sends_progress = call.sends_progress and progress
    began = anyio.current_time()
    await anyio.sleep(min(max(seconds, 0.0), 600.0))
    waited = round(anyio.current_time() - began, 1)
    sent = "with progress every 10 s" if progress else "without progress"
    text = f"The call lasted {waited} s, {sent}. {(call.host or 'This host')[:60]} lets a call take at least that long."
    found = {"status": "completed", "waited_seconds": waited, "host": (call.host or "")[:60]}
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=found)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: its entry in `tools/list`, the model of its arguments, and the function that takes a `Call` and these."""

    listed: types.Tool
    arguments: type[BaseModel]
    run: Callable[..., Awaitable[CallToolResult | Task]]


def create_tools(*, probe: bool = False) -> dict[str, Tool]:
    """Return the tools by name, `contit_ask` first; with `probe` also `contit_probe`."""
    tools = [
        _tool(contit_ask, "Ask Contit", idempotent=False),
        _tool(contit_start, "Start a Contit question", idempotent=False),
        _tool(contit_status, "Status of a Contit question", idempotent=True),
        _tool(contit_response, "Answer to a Contit question", idempotent=True),
        _tool(contit_probe, "Measure this host", idempotent=True),
    ]
    return {tool.listed.name: tool for tool in tools if probe or tool.run is not contit_probe}


def _tool(function: Callable[..., Awaitable[CallToolResult]], title: str, *, idempotent: bool) -> Tool:
    parameters = list(inspect.signature(function).parameters.values())[1:]  # the first is the `Call`
    fields: dict[str, Any] = {p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in parameters}
    arguments = create_model(function.__name__, **fields)
    # A question leaves a conversation behind, not content: all tools are read-only (docs/architecture.md, decision 7).
    hints = types.ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=True)
    hints.idempotent_hint = idempotent
    listed = types.Tool(
        name=function.__name__,
        title=title,
        description=function.__doc__,
        input_schema=_schema(arguments),
        output_schema=None if function is contit_probe else _schema(RunResult),
        annotations=hints,
    )
    return Tool(listed, arguments, function)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the model's schema without titles that repeat names and defaults that mean absent; both cost tokens."""
    schema = model.model_json_schema()
    for field in schema["properties"].values():
        field.pop("title", None)
        field.pop("default", None)
    required = {"required": schema["required"]} if "required" in schema else {}
    return {"type": "object", "properties": schema["properties"], **required, "additionalProperties": False}

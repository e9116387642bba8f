"""The one result of all four tools, as text and as structure.

Some hosts show their model only one of them, so each is complete: the text has the ids, in the form of the call to make
next, and the structure says what went wrong. Except in `run_uri`, an id appears once in each, between quotes.
"""

import json
from typing import Annotated, Any, Literal
from urllib.parse import quote

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field, PlainSerializer
from pydantic.json_schema import SkipJsonSchema

from contit_mcp import errors
from contit_mcp.assistant.reports import RunReport
from contit_mcp.runs.record import Failure, Phase

RUNS_URI = "contit://runs"

_REPLAYED = (
    "This is the answer to the same question asked {:.0f} seconds ago; it was not asked again."
    " To ask again, call contit_ask with this thread_id."
)
MAYBE_TWICE = "An earlier attempt at this question broke off while it was sent, so Contit may have run it twice."

_FAILURES: dict[Failure | None, str] = {
    Failure.NO_END_SEEN: "No end seen: the run took too long and was given up.",
    Failure.NOT_FOUND: errors.RunNotFoundError.message,
    Failure.NO_ANSWER: errors.AnswerUnavailableError.message,
}

# Errors that only the user or the operator can fix.
_FOR_THE_USER = (
    errors.ConfigurationError, errors.AuthenticationError, errors.PermissionDeniedError, errors.RedirectError,
)  # fmt: skip

_Text = str | SkipJsonSchema[None]
_Seconds = Annotated[float, PlainSerializer(lambda seconds: round(seconds, 1))] | SkipJsonSchema[None]
_Count = int | SkipJsonSchema[None]


class RunResult(BaseModel):
    """The state of a run, and its answer once it has one."""

    status: Annotated[
        Literal["completed", "in_progress", "failed"],
        Field(description="completed: the run has its answer. in_progress: still running. failed: see error."),
    ]
    thread_id: Annotated[_Text, Field(description="The conversation; pass it for a follow-up.")] = None
    run_id: Annotated[_Text, Field(description="This run; pass it with thread_id to contit_response.")] = None
    response: Annotated[_Text, Field(description="Contit's answer in Markdown, or the part asked for.")] = None
    elapsed_seconds: Annotated[_Seconds, Field(description="Seconds from the run's start to its end or now.")] = None
    response_offset: Annotated[_Count, Field(description="Where this part of a long answer starts.")] = None
    response_total: Annotated[_Count, Field(description="Characters of the whole answer, if in parts or empty.")] = None
    next_offset: Annotated[_Count, Field(description="offset of the next part; absent after the last.")] = None
    error: Annotated[_Text, Field(description="What went wrong, in one line.")] = None
    trace_id: Annotated[_Text, Field(description="For the operator: finds this call in the server's log.")] = None
    next_step: Annotated[_Text, Field(description="What to do now.")] = None


def answer_result(report: RunReport, *, part_characters: int, offset: int | None = None) -> CallToolResult:
    """Return the result of `contit_ask` and `contit_response`: the answer from `offset` on, or the state."""
    if report.phase is not Phase.COMPLETED or report.response is None:
        return state_result(report)
    whole, start = report.response, max(0, offset or 0)
    if start > 0 and start >= len(whole):
        raise errors.InvalidArgumentError(
            f"offset is beyond the end: the answer has {len(whole)} characters.",
            hint="Call again with a smaller offset.",
        )
    end = _part_end(whole, start, part_characters)
    is_part, is_last = start > 0 or end < len(whole), end == len(whole)
    if is_last:
        step = "For a follow-up, call contit_ask with this thread_id."
        call = f"Follow-up: contit_ask(prompt=…, {_ids(report.thread_id)})"
        call += f"; this run: run_id={_quoted(report.run_id)}" if report.run_id is not None else ""
    else:
        ids = "this thread_id" if report.run_id is None else "this thread_id and run_id"
        step = f"For the next part, call contit_response with {ids} and offset={end}."
        step += f" The resource {run_uri(report)} has all of it." if report.run_id is not None else ""
        call = f"Next part: contit_response({_ids(report.thread_id, report.run_id)}, offset={end})."
    place = f"Characters {start} to {end} of {len(whole)}" + (": the last part." if is_last else ".")
    replayed = report.age_seconds is not None and _REPLAYED.format(report.age_seconds)
    notes = _joined(replayed, report.maybe_twice and MAYBE_TWICE)
    text = whole[start:end]
    return _tool_result(
        [text or "(Contit's answer is empty.)", _joined(is_part and place, notes, call)],
        report,
        status="completed",
        response=text,
        response_offset=start if is_part else None,
        response_total=len(whole) if is_part or not whole else None,
        next_offset=None if is_last else end,
        next_step=_joined(step, notes),
    )


def _part_end(text: str, start: int, characters: int) -> int:
    """Return where the part that starts at `start` ends: after a paragraph, a line or a word, within the limit."""
    limit = start + characters
    if limit >= len(text):
        return len(text)
    for separator in ("\n\n", "\n", " "):
        cut = text.rfind(separator, start + characters // 2, limit)
        if cut >= 0:
            return cut + len(separator)
    return limit


def state_result(report: RunReport) -> CallToolResult:
    """Return the result of `contit_start` and `contit_status`: the state of the run, without its answer."""
    ids = _ids(report.thread_id, report.run_id)
    status, error = "in_progress", None
    text = f"Still running, not failed. Call contit_response({ids}). Do not ask again."
    step = "Still running, not failed. Call contit_response with these ids; do not ask again."
    if report.phase is Phase.COMPLETED:
        status = "completed"
        text = f"Completed. Get the answer: contit_response({ids})."
        step = "Call contit_response with this thread_id and run_id."
    elif report.phase is Phase.FAILED:
        status = "failed"
        error = _FAILURES.get(report.failure, errors.RunFailedError.message)
        step = "Ask once more with contit_ask, more simply or about less at a time."
        text = f"Failed. {error} {step} ({ids})"
    twice = report.maybe_twice and MAYBE_TWICE
    return _tool_result([_joined(text, twice)], report, status=status, error=error, next_step=_joined(step, twice))


def error_result(
    error: errors.ContitError, *, about: tuple[str | None, str | None] = (None, None), trace_id: str | None = None
) -> CallToolResult:
    """Return the result of a call that failed, with the ids of the error, or of the run that the call is about."""
    hint = error.hint
    if isinstance(error, _FOR_THE_USER) or isinstance(error.__cause__, _FOR_THE_USER):
        hint = f"Tell the user: {hint} Until then, calling again will not help."
    thread_id, run_id = about
    goes_on = run_id is not None and not isinstance(error, errors.InvalidArgumentError)
    if isinstance(error, errors.RunNotFoundError):
        thread_id, run_id, goes_on = None, None, False  # ids that do not work are not returned
    elif isinstance(error, errors.RunError):
        thread_id, run_id = error.thread_id, error.run_id
        goes_on = isinstance(error, errors.RunUnreachableError | errors.ThreadBusyError) and run_id is not None
    elif goes_on:
        hint = f"{hint} Then call contit_response with this thread_id and run_id; do not ask again."
    return _tool_result(
        [_joined(error.message, hint, thread_id is not None and f"({_ids(thread_id, run_id)})")],
        status="in_progress" if goes_on else "failed",
        thread_id=thread_id,
        run_id=run_id,
        error=error.message,
        trace_id=trace_id,
        next_step=hint,
    )


def _ids(thread_id: str | None, run_id: str | None = None) -> str:
    return f"thread_id={_quoted(thread_id)}" + (f", run_id={_quoted(run_id)}" if run_id is not None else "")


def _quoted(text: str | None) -> str:
    return json.dumps(text, ensure_ascii=False)


def _joined(*parts: str | Literal[False] | None) -> str:
    return " ".join(part for part in parts if part)


def _tool_result(blocks: list[str], about: RunReport | None = None, **fields: Any) -> CallToolResult:
    if about is not None:
        fields |= {"thread_id": about.thread_id, "run_id": about.run_id, "elapsed_seconds": about.elapsed_seconds}
    return CallToolResult(
        content=[TextContent(type="text", text=block) for block in blocks],
        structured_content=RunResult(**fields).model_dump(mode="json", exclude_none=True),
        is_error=about is None,
    )


def run_uri(report: RunReport) -> str:
    """Return the address of the resource with a run's answer."""
    return f"{RUNS_URI}/{quote(report.thread_id, safe='')}/{quote(report.run_id or '', safe='')}"

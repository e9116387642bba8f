"""The one result of all four tools: what the model reads, in text and in structure.

Some hosts show their model only the structure, some only the text, and Codex shows of an error only the
structure without saying that it is one. So each of them stands alone: the text carries the ids, the
structure says by itself what went wrong and what to do.
"""

from typing import Annotated, Literal

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from contit_mcp.assistant.reports import RunReport
from contit_mcp.errors import ContitError, RunError, RunUnreachableError, ThreadBusyError
from contit_mcp.runs.record import Failure, Phase

_Text = str | SkipJsonSchema[None]
_Number = float | SkipJsonSchema[None]


class RunResult(BaseModel):
    """Where a run stands, and its answer once it has one."""

    model_config = ConfigDict(frozen=True, title="RunResult")

    status: Annotated[
        Literal["completed", "in_progress", "failed"],
        Field(description="completed: the run has its answer. in_progress: still running. failed: see error."),
    ]
    thread_id: Annotated[_Text, Field(description="The conversation; pass it to ask a follow-up.")] = None
    run_id: Annotated[_Text, Field(description="This run; pass it with thread_id to contit_response.")] = None
    response: Annotated[_Text, Field(description="Contit's full answer, Markdown, once completed.")] = None
    elapsed_seconds: Annotated[_Number, Field(description="How long the run has taken so far, in seconds.")] = None
    error: Annotated[_Text, Field(description="What went wrong, in one line.")] = None
    next_step: Annotated[_Text, Field(description="The one call that makes sense now.")] = None


ToolResult = Annotated[CallToolResult, RunResult]
"""What a tool returns: built here, and published as `RunResult`'s schema."""


def answer_result(report: RunReport) -> CallToolResult:
    """The result of `contit_ask` and `contit_response`: the answer, or that it is not there yet."""
    return _result(report, completed_step=_given_again(report))


def handle_result(report: RunReport) -> CallToolResult:
    """The result of `contit_start` and `contit_status`: where the run stands; its answer is another call."""
    return _result(report, completed_step=f"Call contit_response with {_ids(report.thread_id, report.run_id)}.")


def error_result(error: ContitError, *, about: tuple[str | None, str | None] = (None, None)) -> CallToolResult:
    """The result of a call that could not deliver. Ids are in it where they are known.

    Args:
        error: What went wrong.
        about: The ids of the run that the call was about, for errors that know none: the run itself goes on.
    """
    hint = error.hint
    if isinstance(error, RunError):
        thread_id, run_id = error.thread_id, error.run_id
        goes_on = isinstance(error, RunUnreachableError) or (isinstance(error, ThreadBusyError) and run_id is not None)
    else:
        thread_id, run_id = about
        goes_on = run_id is not None
        if goes_on:
            hint = f"{hint} Then call contit_response with {_ids(thread_id, run_id)}; do not ask again."
    result = RunResult(
        status="in_progress" if goes_on else "failed",
        thread_id=thread_id,
        run_id=run_id,
        error=error.message,
        next_step=hint,
    )
    lines = [f"{error.message} {hint}"]
    if thread_id is not None:
        lines.append(_ids(thread_id, run_id))
    return _tool_result(result, lines, is_error=True)


def _result(report: RunReport, *, completed_step: str | None) -> CallToolResult:
    ids = _ids(report.thread_id, report.run_id)
    error = None
    status: Literal["completed", "in_progress", "failed"] = "in_progress"
    if report.phase is Phase.COMPLETED:
        status = "completed"
        step = completed_step
        text = report.response if report.response is not None else "Completed."
    elif report.phase is Phase.FAILED:
        status = "failed"
        error = _FAILURES[report.failure or Failure.RUN_FAILED]
        step = "Ask once more with contit_ask, more simply or about less at a time."
        text = f"Failed. {error}"
    else:
        step = f"Still running, not failed. Call contit_response with {ids}. Do not ask again."
        text = ""
    if report.maybe_twice:
        step = " ".join(part for part in (step, MAYBE_TWICE) if part)
    result = RunResult(
        status=status,
        thread_id=report.thread_id,
        run_id=report.run_id,
        response=report.response,
        elapsed_seconds=None if report.elapsed_seconds is None else round(report.elapsed_seconds, 1),
        error=error,
        next_step=step,
    )
    if report.response is None:
        return _tool_result(result, [" ".join(part for part in (text, step) if part), ids])
    return _tool_result(result, [text or "(Contit's answer is empty.)", f"{ids}. {step}" if step else ids])


_FAILURES = {
    Failure.RUN_FAILED: "Contit reports that the run failed; it does not say why.",
    Failure.NO_END_SEEN: "No end seen: the run went on for too long and was given up.",
    Failure.NOT_FOUND: "No such thread or run.",
    Failure.NO_ANSWER: "Contit calls the run completed but has no answer for it.",
}


MAYBE_TWICE = (
    "An earlier attempt at this question was cut off while it was being sent, so Contit may have run it twice."
)


def _given_again(report: RunReport) -> str | None:
    if report.age_seconds is None:
        return None
    return (
        f"This is the answer to the same question asked {report.age_seconds:.0f} seconds ago; it was not asked again:"
        " for a new one call contit_ask with this thread_id."
    )


def _ids(thread_id: str | None, run_id: str | None) -> str:
    return f"thread_id={thread_id}" + (f", run_id={run_id}" if run_id is not None else "")


def _tool_result(result: RunResult, blocks: list[str], *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=block) for block in blocks],
        structured_content=result.model_dump(mode="json", exclude_none=True),
        is_error=is_error,
    )

"""contit_response."""

from contit_mcp.server.calls import Call
from contit_mcp.server.results import ToolResult, answer_result
from contit_mcp.server.tools.parameters import OptionalRunId, ThreadId, WaitSeconds


async def contit_response(
    call: Call, thread_id: ThreadId, run_id: OptionalRunId = None, wait_seconds: WaitSeconds = None
) -> ToolResult:
    """Get the answer of a question that contit_ask or contit_start began, waiting for it if it is still running. \
With run_id: that run's own answer. Call it again as long as the result is in_progress."""
    report = await call.assistant.response(
        thread_id, run_id, wait_seconds=call.wait(wait_seconds), observer=call.observer
    )
    return answer_result(report)

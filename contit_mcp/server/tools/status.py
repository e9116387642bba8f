"""contit_status."""

from contit_mcp.server.calls import Call
from contit_mcp.server.results import ToolResult, handle_result
from contit_mcp.server.tools.parameters import RunId, StatusWaitSeconds, ThreadId


async def contit_status(
    call: Call, thread_id: ThreadId, run_id: RunId, wait_seconds: StatusWaitSeconds = None
) -> ToolResult:
    """Tell where a run of Contit's AI assistant stands: completed, in_progress or failed. To get the answer, \
call contit_response instead; it waits by itself."""
    report = await call.assistant.status(
        thread_id, run_id, wait_seconds=call.wait(wait_seconds or 0.0), observer=call.observer
    )
    return handle_result(report)

"""contit_start."""

from contit_mcp.server.calls import Call
from contit_mcp.server.results import ToolResult, handle_result
from contit_mcp.server.tools.parameters import FollowUpThreadId, Prompt


async def contit_start(call: Call, prompt: Prompt, thread_id: FollowUpThreadId = None) -> ToolResult:
    """Start a question to Contit's AI assistant without waiting; returns thread_id and run_id at once. \
For several questions side by side; otherwise use contit_ask. Get the answer with contit_response."""
    report = await call.assistant.start(prompt, thread_id, wait_seconds=call.wait(None), observer=call.observer)
    return handle_result(report)

"""contit_ask."""

from contit_mcp.server.calls import Call
from contit_mcp.server.results import ToolResult, answer_result
from contit_mcp.server.tools.parameters import FollowUpThreadId, Prompt, WaitSeconds


async def contit_ask(
    call: Call, prompt: Prompt, thread_id: FollowUpThreadId = None, wait_seconds: WaitSeconds = None
) -> ToolResult:
    """Ask Contit's AI assistant about the content of the Contit CMS, and get its answer: articles, products, pages, \
their state, dates, authors, tags, locales. If the answer takes longer than the wait, the result is in_progress with \
thread_id and run_id: then call contit_response with both instead of asking again."""
    report = await call.assistant.ask(prompt, thread_id, wait_seconds=call.wait(wait_seconds), observer=call.observer)
    return answer_result(report)

"""One tool call, from what the host sent to what the model reads; the one place where errors become results."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult

from contit_mcp.errors import ContitError, UnexpectedError
from contit_mcp.server.accounts import Account, Request, accounted
from contit_mcp.server.arguments import accept
from contit_mcp.server.bridge import Bridge
from contit_mcp.server.host_waits import WaitPolicy
from contit_mcp.server.progress import CallObserver
from contit_mcp.server.results import error_result
from contit_mcp.tasks.task import Task
from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:  # start-up time: it brings the core along, and httpx
    from contit_mcp.server.owned import OwnedAssistant

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool gets beside its arguments."""

    assistant: "OwnedAssistant"
    observer: CallObserver
    host: str | None
    waits: WaitPolicy

    def wait(self, wished: float | None) -> float:
        """How long this call may wait, in seconds."""
        return self.waits.seconds(wished, host=self.host)


Perform = Callable[..., Awaitable[CallToolResult | Task]]
"""Takes the call and the tool's arguments."""


async def run_call(
    tool: Tool, arguments: Mapping[str, Any], request: Request, bridge: Bridge, *, perform: Perform | None = None
) -> CallToolResult | Task:
    """Run one call and log one line about it. Whatever goes wrong becomes a result that says what to do now.

    Args:
        tool: Says which arguments there are.
        arguments: As they came.
        request: The message that they came in.
        bridge: What the tools stand on.
        perform: Done instead of the tool's own function.
    """
    with accounted(tool.name, request, bridge) as account:
        return await _result_of(tool, arguments, request, bridge, account, perform or tool.fn)


async def _result_of(
    tool: Tool,
    arguments: Mapping[str, Any],
    request: Request,
    bridge: Bridge,
    account: Account,
    perform: Perform,
) -> CallToolResult | Task:
    observer, facts = account.observer, account.facts
    try:
        accepted = accept(arguments, tool.fn_metadata.arg_model)
        assistant = account.open_assistant(bridge, request)
        call = Call(assistant, observer, account.host, bridge.waits)
        async with _progress(observer, request):
            try:
                result = await perform(call, **accepted)
            except ContitError as error:
                result = _refused(error, observer, facts)
    except ContitError as error:
        return _refused(error, observer, facts)
    except Exception:
        log.exception("call.crashed", tool=tool.name)
        return _refused(UnexpectedError(), observer, facts)
    if isinstance(result, Task):
        facts["outcome"] = "task"
    elif not result.is_error:
        facts["outcome"] = (result.structured_content or {}).get("status")
    return result


@asynccontextmanager
async def _progress(observer: CallObserver, request: Request) -> AsyncIterator[None]:
    """Progress is sent beside what is done inside, to a caller that wants it."""
    if "progress_token" not in (request.meta or {}):
        yield
        return
    async with anyio.create_task_group() as beside:
        send = request.session.report_progress
        beside.start_soon(observer.report, lambda done, text: send(done, message=text))
        await anyio.lowlevel.checkpoint()  # lets the first message go out before anything else
        yield
        beside.cancel_scope.cancel()


def _refused(error: ContitError, observer: CallObserver, facts: dict[str, Any]) -> CallToolResult:
    facts["outcome"] = type(error).__name__
    return error_result(error, about=observer.shown(observer.thread_id, observer.run_id))

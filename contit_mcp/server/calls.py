"""One tool call, from what the host sent to what the model reads; the one place where errors become results."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import structlog
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from opentelemetry import trace

from contit_mcp.exceptions import ContitError
from contit_mcp.server.arguments import accept
from contit_mcp.server.bridge import Bridge
from contit_mcp.server.callers import SCOPE_KEY, SENT_KEY, TRACE_KEY, Caller
from contit_mcp.server.finished_call import FinishedCall
from contit_mcp.server.host_waits import WaitPolicy, read_user_agent
from contit_mcp.server.progress import CallObserver
from contit_mcp.server.results import error_result
from contit_mcp.tally import start_tally

if TYPE_CHECKING:  # start-up time: it brings the core along, and httpx
    from contit_mcp.server.owned import OwnedAssistant

log = structlog.get_logger(__name__)


class UnexpectedError(ContitError):
    """A fault of our own. Its text stays out of the result: it could hold anything."""

    def __init__(self) -> None:
        super().__init__(
            "contit-mcp itself failed at this call; that is a bug in it.",
            hint="Try once more; if it fails again, report it with the server's log line call.crashed.",
        )


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


async def run_call(
    tool: Tool, arguments: Mapping[str, Any], context: Context[Any, Any], bridge: Bridge
) -> CallToolResult:
    """Run one call and log one line about it. Whatever goes wrong becomes a result that says what to do now."""
    tally = start_tally()
    observer = CallObserver(_scope_of(context).get(SENT_KEY))
    client = _client_of(context)
    _scope_of(context)[TRACE_KEY] = trace.get_current_span().get_span_context()
    began = anyio.current_time()
    facts: dict[str, Any] = {"outcome": "cancelled"}
    bridge.calls_in_flight += 1
    try:
        result = await _result_of(tool, arguments, context, bridge, observer, client, facts)
    finally:
        bridge.calls_in_flight -= 1
        seconds = round(anyio.current_time() - began, 3)
        trace_id = _trace_id()
        bridge.on_finished(FinishedCall(tool.name, str(facts["outcome"]), seconds, tally, trace_id))
        log.info(
            "call.finished",
            tool=tool.name,
            thread_id=observer.thread_id,
            run_id=observer.run_id,
            seconds=seconds,
            polls=tally.polls,
            requests=tally.requests,
            retries=tally.retries,
            store_errors=tally.store_errors,
            host=client[0],
            host_version=client[1],
            protocol=context.protocol_version,
            request_id=context.request_id,
            **facts,
        )
    return result


async def _result_of(
    tool: Tool,
    arguments: Mapping[str, Any],
    context: Context[Any, Any],
    bridge: Bridge,
    observer: CallObserver,
    client: tuple[str | None, str | None],
    facts: dict[str, Any],
) -> CallToolResult:
    try:
        accepted = accept(arguments, tool.fn_metadata.arg_model)
        assistant = bridge.for_caller(_caller_of(context))
        observer.shown = assistant.shown
        call = Call(assistant, observer, client[0], bridge.waits)
        facts["owner"] = assistant.owner
        async with anyio.create_task_group() as beside:
            if _wants_progress(context):
                beside.start_soon(observer.report, lambda done, text: context.report_progress(done, message=text))
                await anyio.lowlevel.checkpoint()  # lets the first message go out before anything else
            try:
                result: CallToolResult = await tool.fn(call, **accepted)
            except ContitError as error:
                result = _refused(error, observer, facts)
            beside.cancel_scope.cancel()
    except ContitError as error:
        return _refused(error, observer, facts)
    except Exception:
        log.exception("call.crashed", tool=tool.name)
        return _refused(UnexpectedError(), observer, facts)
    if not result.is_error:
        facts["outcome"] = (result.structured_content or {}).get("status")
    return result


def _refused(error: ContitError, observer: CallObserver, facts: dict[str, Any]) -> CallToolResult:
    facts["outcome"] = type(error).__name__
    return error_result(error, about=observer.shown(observer.thread_id, observer.run_id))


def _client_of(context: Context[Any, Any]) -> tuple[str | None, str | None]:
    """The host's name and version, where it gives them."""
    params = context.request_context.session.client_params
    if params is not None and params.client_info is not None:
        return _short(params.client_info.name), _short(params.client_info.version)
    # Over stateless HTTP of the handshake era there is none; there the User-Agent says it.
    name, version = read_user_agent((context.headers or {}).get("user-agent", ""))
    return (_short(name) or None), (_short(version) or None)


def _wants_progress(context: Context[Any, Any]) -> bool:
    return "progress_token" in (context.request_context.meta or {})


def _caller_of(context: Context[Any, Any]) -> Caller:
    """Whom an authenticating transport has found; a caller without marks over stdio."""
    found = _scope_of(context).get(SCOPE_KEY)
    return found if isinstance(found, Caller) else Caller()


def _scope_of(context: Context[Any, Any]) -> MutableMapping[str, Any]:
    """The HTTP request's ASGI scope; over stdio there is none."""
    return getattr(context.request_context.request, "scope", None) or {}


def _short(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:60]


def _trace_id() -> str | None:
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else None

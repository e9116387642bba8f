"""One tool call: its arguments, its progress, its log line, and the one place where errors become results."""

import difflib
import json
import logging
import math
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from mcp.server.context import ServerRequestContext
from mcp_types import CallToolResult
from opentelemetry import trace
from pydantic import BaseModel, ValidationError

from contit_mcp.assistant.reports import Observer
from contit_mcp.errors import (
    AuthenticationError,
    ConfigurationError,
    ContitError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnexpectedError,
)
from contit_mcp.server.context import AppContext
from contit_mcp.server.host_waits import read_user_agent
from contit_mcp.server.request_state import Caller, RequestState, request_state
from contit_mcp.server.results import error_result
from contit_mcp.tasks.extension import Task
from contit_mcp.telemetry.call_stats import NULL_LISTENER, start_call_stats
from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:  # start-up time: it brings in the core
    from contit_mcp.server.tenancy import Tenant
    from contit_mcp.server.tools import Tool

log = get_logger(__name__)

Request = ServerRequestContext[Any, Any]

PROGRESS_SECONDS = 10.0
"""The longest silence while a caller waits. Hosts that give up on silence do so after minutes; people do earlier."""

# --- Arguments ---------------------------------------------------------------------------------------------------

_IDS = ("thread_id", "run_id")
_ABSENT = frozenset({"", "null", "none", "undefined"})
"""What models write for "nothing", in lower case."""

_LABELLED = {
    name: re.compile(
        rf"{name[:-3]}[ _-]?id[\"'`]?\s{{0,8}}[:=]\s{{0,8}}[\"'`]?([^\s\"'`,;()]{{1,4096}})", re.IGNORECASE
    )
    for name in _IDS
}
"""An id behind its name, as in `thread_id=…`, also inside a whole call or a JSON object."""

_AROUND_IDS = " \t\r\n\"'`()[]{}<>*“”\u2018\u2019«»"
_AFTER_IDS = ".,;:!?"
"""Quotes and brackets that models put around an id, and what they put after it. No id of ours ends with one."""

_LONGEST_NAME = 40
_MOST_NAMES = 3
_REASONS = {
    "missing": "is required",
    "string_type": "must be a string",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
}


def accept(arguments: Mapping[str, Any], model: type[BaseModel]) -> tuple[dict[str, Any], int]:
    """Return the arguments as the tool takes them, and how many were dropped because no parameter has their name.

    Hosts add arguments of their own to every call, so an unknown name is no error.

    Args:
        arguments: The arguments of the call.
        model: The tool's parameters.

    Raises:
        InvalidArgumentError: One is missing or of the wrong type. The text has names, no values.
    """
    fields = model.model_fields
    required = [name for name, info in fields.items() if info.is_required()]
    given: dict[str, Any] = {}
    unknown: list[str] = []
    spellings = {_letters(name): name for name in fields}
    for key, value in arguments.items():
        name = key if key in fields else spellings.get(_letters(key))
        if name is None:
            unknown.append(key)
        elif name == key or _is_absent(arguments.get(name)):
            given[name] = _clean_id(name, value) if name in _IDS else value
    given = {name: value for name, value in given.items() if not _is_absent(value)}
    try:
        accepted = model.model_validate(given)
    except ValidationError as exc:
        # Not chained: pydantic's text quotes the value.
        problems = [
            f"{error['loc'][0]} {_REASONS.get(error['type'], 'cannot be used')}"
            for error in exc.errors()
            if error["type"] != "none_required"  # the other half of an optional parameter
        ]
        missing = [str(error["loc"][0]) for error in exc.errors() if error["type"] == "missing"]
    else:
        return {name: getattr(accepted, name) for name in fields}, len(unknown)
    optional = [name for name, info in fields.items() if not info.is_required()]
    hint = f"Call again with {' and '.join(required)}"
    hint += f"; {', '.join(optional)} {'is' if len(optional) == 1 else 'are'} optional." if optional else "."
    raise InvalidArgumentError(f"{'; '.join(problems)}.{_look_alikes(missing, unknown)}", hint=hint)


def _look_alikes(missing: list[str], unknown: list[str]) -> str:
    """Return a sentence for each missing parameter that names the unknown argument which looks like it."""
    names = [key for key in unknown if key.isprintable() and len(key) <= _LONGEST_NAME][:20]
    found = []
    for name in missing:
        near = difflib.get_close_matches(_letters(name), [_letters(key) for key in names], n=1, cutoff=0.6)
        if near:
            key = next(key for key in names if _letters(key) == near[0])
            found.append(f" The call has {json.dumps(key, ensure_ascii=False)}: pass its value as {name}.")
    if not found and missing and names:
        listed = ", ".join(json.dumps(key, ensure_ascii=False) for key in names[:_MOST_NAMES])
        found.append(f" The call has {listed} instead.")
    return "".join(found)


def _letters(name: str) -> str:
    return "".join(character for character in name[:_LONGEST_NAME] if character.isalnum()).casefold()


def _clean_id(name: str, value: object) -> object:
    """Return an id without what models write around it: `thread_id=`, quotes, a full stop."""
    if not isinstance(value, str) or len(value) > 10_000:
        return value
    labelled = _LABELLED[name].search(value)
    text = (labelled[1] if labelled else value).strip(_AROUND_IDS)
    return text.rstrip(_AFTER_IDS).strip(_AROUND_IDS) or text


def _is_absent(value: object) -> bool:
    """Whether a value means that the argument is absent. Models write "nothing" in several ways."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().casefold() in _ABSENT)


# --- The call ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool gets beside its arguments.

    Attributes:
        tenant: The assistant for the caller.
        observer: Follows the call for its log line and its progress.
        host: The name of the caller's host, where it gives one.
        context: What the process shares.
    """

    tenant: "Tenant"
    observer: "CallObserver"
    host: str | None
    context: AppContext

    def wait(self, wished: float | None) -> float:
        """Return how long this call may wait, in seconds."""
        return self.context.waits.seconds(wished, host=self.host)

    @property
    def part_characters(self) -> int:
        """Return the longest part of an answer in one result."""
        return self.context.settings.answer_part_characters


Perform = Callable[..., Awaitable[CallToolResult | Task]]
"""Takes the call and the tool's arguments."""


async def run_call(
    tool: "Tool",
    arguments: Mapping[str, Any],
    request: Request,
    context: AppContext,
    *,
    perform: Perform | None = None,
) -> CallToolResult | Task:
    """Run one call and log one line about it. Every error becomes a result that says what to do now.

    Args:
        tool: Its parameters and its function.
        arguments: The arguments of the call.
        request: The message that carries them.
        context: What the process shares.
        perform: Replaces the tool's function.
    """
    with logged_call(tool.name, request, context) as record:
        try:
            accepted, record.facts["dropped_arguments"] = accept(arguments, tool.arguments)
            call = Call(record.open_tenant(), record.observer, record.host, context)
            async with _progress(record.observer, request):
                try:
                    result = await (perform or tool.run)(call, **accepted)
                except ContitError as error:  # inside, so that the last progress goes out before the result
                    result = record.refused(error)
        except ContitError as error:
            return record.refused(error)
        except Exception:
            log.exception("call.crashed", tool=tool.name)
            return record.refused(UnexpectedError())
        if isinstance(result, Task):
            record.facts["outcome"] = "task"
        elif not result.is_error:
            record.facts["outcome"] = (result.structured_content or {}).get("status")
        return result


@dataclass(slots=True)
class CallRecord:
    """What is known of a call while it runs, for its log line.

    Attributes:
        request: The message.
        context: What the process shares.
        host: The name of the caller's host, where it gives one.
        host_version: Its version.
        trace_id: Finds the call in logs and traces.
        observer: Knows the run.
        facts: Further fields of the log line, `outcome` first of all.
        level: The log line's level.
    """

    request: Request
    context: AppContext
    host: str | None
    host_version: str | None
    trace_id: str
    observer: "CallObserver" = field(default_factory=lambda: CallObserver())  # noqa: PLW0108 - defined below
    facts: dict[str, Any] = field(default_factory=lambda: {"outcome": "cancelled"})
    level: int = logging.INFO

    def open_tenant(self) -> "Tenant":
        """Return the assistant for the caller.

        Raises:
            ConfigurationError: See `AppContext.tenant`.
        """
        tenant = self.context.tenant(_caller_of(self.request))
        self.observer.shown = tenant.shown
        self.facts["owner"] = tenant.owner
        return tenant

    def refused(self, error: ContitError) -> CallToolResult:
        """Return the result for an error, and note whose fault it is."""
        self.failed(error)
        about = self.observer.shown(self.observer.thread_id, self.observer.run_id)
        return error_result(error, about=about, trace_id=self.trace_id)

    def failed(self, error: ContitError) -> None:
        """Set outcome and level: ERROR for what the operator or this program must fix, else WARNING."""
        self.facts["outcome"] = type(error).__name__
        own_credential = _caller_of(self.request).credential is not None
        refused = isinstance(error, AuthenticationError | PermissionDeniedError) and not own_credential
        ours = refused or isinstance(error, ConfigurationError | UnexpectedError)
        self.level = logging.ERROR if ours else logging.WARNING


@contextmanager
def logged_call(name: str, request: Request, context: AppContext, *, counts: bool = True) -> Iterator[CallRecord]:
    """Log the call made inside as one line, and count it under `name` unless it is only a poll of a task."""
    stats = start_call_stats(context.metrics or NULL_LISTENER)
    state = _state_of(request)
    tool_span = trace.get_current_span()
    span = tool_span.get_span_context()
    if state is not None:
        state.call_span = span
    trace_id = trace.format_trace_id(span.trace_id) if span.is_valid else secrets.token_hex(16)
    record = CallRecord(request, context, *_host_of(request), trace_id)
    began = anyio.current_time()
    context.calls_in_flight += 1
    try:
        yield record
    finally:
        context.calls_in_flight -= 1
        seconds = round(anyio.current_time() - began, 3)
        outcome = str(record.facts["outcome"])
        for key, value in (("thread_id", record.observer.thread_id), ("run_id", record.observer.run_id)):
            if value is not None:
                tool_span.set_attribute(f"contit.{key}", value)
        if counts and context.metrics is not None:
            dropped = record.facts.get("dropped_arguments", 0)
            context.metrics.count_call(name, outcome, seconds, dropped=dropped, trace_id=trace_id)
        log.log(
            record.level,
            "call.finished",
            tool=name,
            thread_id=record.observer.thread_id,
            run_id=record.observer.run_id,
            seconds=seconds,
            polls=stats.events["poll"],
            requests=stats.requests,
            statuses=" ".join(f"{status}:{count}" for status, count in sorted(stats.statuses.items())),
            retries=stats.events["retry"],
            joins=stats.events["join"],
            store_errors=stats.events["store_error"],
            host=record.host,
            host_version=record.host_version,
            protocol=request.protocol_version,
            request_id=str(request.request_id),
            trace_id=trace_id,
            **record.facts,
        )


def _host_of(request: Request) -> tuple[str | None, str | None]:
    """Return the host's name and version, where it gives them."""
    params = request.session.client_params
    if params is not None and params.client_info is not None:
        return _short(params.client_info.name), _short(params.client_info.version)
    # Stateless HTTP of the handshake era has no clientInfo; the User-Agent replaces it.
    headers = getattr(request.request, "headers", None) or {}
    name, version = read_user_agent(headers.get("user-agent", ""))
    return (_short(name) or None), (_short(version) or None)


def _caller_of(request: Request) -> Caller:
    """Return the caller that the transport authenticated; over stdio a caller without a name."""
    state = _state_of(request)
    return Caller() if state is None or state.caller is None else state.caller


def _state_of(request: Request) -> RequestState | None:
    """Return the state of the HTTP request; None over stdio."""
    scope = getattr(request.request, "scope", None)
    return None if scope is None else request_state(scope)


def _short(text: str) -> str:
    return "".join(character for character in text[:200] if character.isprintable())[:60]


# --- Progress ----------------------------------------------------------------------------------------------------


class CallObserver(Observer):
    """Follows one call: the ids for its log line, and progress for a caller that asked for it.

    `shown` turns Contit's ids into what the caller may see.
    """

    def __init__(self) -> None:
        self.shown: Callable[[str | None, str | None], tuple[str | None, str | None]] = lambda *ids: ids
        self.thread_id: str | None = None
        self.run_id: str | None = None
        self._message = "Asking Contit"
        self._changed = anyio.Event()
        self._silent = False

    def fall_silent(self) -> None:
        """Send no progress after the first message."""
        self._silent = True

    def started(self, thread_id: str, run_id: str) -> None:
        """Note the ids."""
        self.thread_id, self.run_id = thread_id, run_id
        self._say("Contit is working on it")

    def status(self, word: str) -> None:
        """Note Contit's word for the state of the run."""
        if self.run_id is not None and word.isprintable() and word != "in_progress":
            self._say(f"Contit is working on it ({word[:40].replace('_', ' ')})")

    def _say(self, message: str) -> None:
        if message != self._message:
            self._message = message
            self._changed.set()

    async def report(self, send: Callable[[float, str], Awaitable[None]]) -> None:
        """Send progress at once, on every change, and at least every 10 s, until cancelled.

        Args:
            send: Takes the seconds so far, which always grow, and a message.
        """
        began = anyio.current_time()
        progress = 0.0
        while not self._silent:
            self._changed = anyio.Event()
            elapsed = anyio.current_time() - began
            progress = max(elapsed, progress + 0.001)
            await send(round(progress, 3), f"{self._message}, {elapsed:.0f} s so far")
            with anyio.move_on_after(PROGRESS_SECONDS):
                await self._changed.wait()


@asynccontextmanager
async def _progress(observer: CallObserver, request: Request) -> AsyncIterator[None]:
    """Send progress while the code inside runs, to a caller that asked for it."""
    if "progress_token" not in (request.meta or {}):
        yield
        return
    async with anyio.create_task_group() as beside:
        send = request.session.report_progress
        beside.start_soon(observer.report, lambda done, text: send(done, message=text))
        await anyio.lowlevel.checkpoint()  # lets the first message go out before anything else
        yield
        beside.cancel_scope.cancel()

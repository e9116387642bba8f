"""One tool call: its arguments, its progress, its log line, and the one place where errors become results."""

import difflib
import functools
import json
import logging
import math
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, SERVER_INFO_META_KEY, CallToolResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from opentelemetry import trace
from pydantic import BaseModel, ValidationError

from contit_mcp import __version__, errors
from contit_mcp.assistant.reports import Observer
from contit_mcp.server.context import AppContext, Caller, request_state
from contit_mcp.server.host_waits import read_user_agent
from contit_mcp.server.results import error_result
from contit_mcp.tasks.extension import Task
from contit_mcp.telemetry.call_stats import NULL_LISTENER, start_call_stats
from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:  # start-up time: `tenancy` imports the assistant, and `tools` needs this module
    from contit_mcp.server.tenancy import Tenant
    from contit_mcp.server.tools import Tool

log = get_logger(__name__)

Request = ServerRequestContext[Any, Any]

NAME = "contit-assistant"
# The SDK puts the whole identity, with the icon, into every result that names none. The client got it at discovery.
_SHORT_IDENTITY: dict[str, Any] = {SERVER_INFO_META_KEY: {"name": NAME, "version": __version__}}

PROGRESS_SECONDS = 10.0  # the longest silence while a caller waits

_LABEL = r"[ _-]?id[\"'`]?\s{0,8}[:=]\s{0,8}[\"'`]?([^\s\"'`,;()]{1,4096})"
_LABELLED = {f"{kind}_id": re.compile(kind + _LABEL, re.IGNORECASE) for kind in ("thread", "run")}
"""An id after its name, as in `thread_id=…`, also inside a whole call or a JSON object."""
_AROUND_IDS = " \t\r\n\"'`()[]{}<>*“”\u2018\u2019«»"
_AFTER_IDS = ".,;:!?"  # neither Contit's ids nor handles end with one
_ABSENT = frozenset({"", "null", "none", "undefined"})  # models write "nothing" in several ways
_LONGEST_NAME = 40
_REASONS = {
    "missing": "is required",
    "string": "must be a string",
    "float": "must be a number",
    "int": "must be a whole number",
}


def accept(arguments: Mapping[str, Any], model: type[BaseModel]) -> tuple[dict[str, Any], int]:
    """Return the arguments as the tool takes them, and how many were dropped because no parameter has their name.

    Hosts add arguments of their own, so an unknown name is no error. An InvalidArgumentError quotes no value.
    """
    fields = model.model_fields
    given: dict[str, Any] = {}
    unknown: list[str] = []
    for key, written in arguments.items():
        name = key if key in fields else _names(model).get(_normalized(key))
        if name is None:
            unknown.append(key)
            continue
        value = _clean_id(name, written) if name in _LABELLED else written
        if not _is_absent(value) and (name == key or name not in given):
            given[name] = value
    try:
        return dict(model.model_validate(given)), len(unknown)
    except ValidationError as exc:
        # Not chained: pydantic's text quotes the value. An optional parameter adds the error that it is not None.
        wrong = [(str(each["loc"][0]), each["type"]) for each in exc.errors() if each["type"] != "none_required"]
    problems = [f"{name} {_REASONS.get(kind.partition('_')[0], 'cannot be used')}" for name, kind in wrong]
    missing = [name for name, kind in wrong if kind == "missing"]
    required = [name for name, info in fields.items() if info.is_required()]
    optional = [name for name in fields if name not in required]
    hint = f"Call again with {' and '.join(required)}; optional: {', '.join(optional)}."
    raise errors.InvalidArgumentError(f"{'; '.join(problems)}.{_look_alikes(missing, unknown)}", hint=hint)


def _look_alikes(missing: list[str], unknown: list[str]) -> str:
    """Return sentences: which unknown argument looks like a missing parameter; else which arguments the call has."""
    named = [key for key in unknown if key.isprintable() and len(key) <= _LONGEST_NAME][:20]
    quoted = {_normalized(key): json.dumps(key, ensure_ascii=False) for key in named}
    found = ""
    for name in missing:
        for near in difflib.get_close_matches(_normalized(name), quoted, n=1):
            found += f" The call has {quoted[near]}: pass its value as {name}."
    if missing and quoted and not found:
        return f" The call has {', '.join(list(quoted.values())[:3])} instead."
    return found


@functools.lru_cache(maxsize=16)
def _names(model: type[BaseModel]) -> dict[str, str]:
    return {_normalized(name): name for name in model.model_fields}


def _normalized(name: str) -> str:
    return "".join(character for character in name[:_LONGEST_NAME] if character.isalnum()).casefold()


def _clean_id(name: str, value: object) -> object:
    """Return an id without what models write around it: `thread_id=`, quotes, a full stop."""
    if not isinstance(value, str) or len(value) > 10_000:
        return value
    labelled = _LABELLED[name].search(value)
    text = (labelled[1] if labelled else value).strip(_AROUND_IDS)
    return text.rstrip(_AFTER_IDS).strip(_AROUND_IDS) or text


def _is_absent(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().casefold() in _ABSENT)


class Call(Observer):
    """One request of a caller: what a tool needs beside its arguments, and the fields of the log line."""

    def __init__(self, request: Request, context: AppContext) -> None:
        self.request = request
        self.context = context
        self.host, self.host_version = _host_of(request)
        self.thread_id: str | None = None
        self.run_id: str | None = None
        self.facts: dict[str, Any] = {}  # further fields of the log line
        self.level = logging.INFO
        self.span = trace.get_current_span()
        state = request_state(getattr(request.request, "scope", {}))  # stdio has no scope
        state.call_span = span = self.span.get_span_context()
        self.trace_id = trace.format_trace_id(span.trace_id) if span.is_valid else secrets.token_hex(16)
        self.caller = state.caller or Caller()
        self.sends_progress = "progress_token" in (request.meta or {})
        self._message = "Asking Contit"
        self._changed = anyio.Event()

    @functools.cached_property
    def tenant(self) -> "Tenant":
        """The caller's owner with its assistant; see `Services.tenant`, also for its errors."""
        tenant = self.context.services().tenant(self.caller)
        self.facts["owner"] = tenant.owner
        return tenant

    def wait(self, wished: float | None) -> float:
        """Return how long this call may wait, in seconds."""
        return self.context.waits.seconds(wished, host=self.host)

    def started(self, thread_id: str, run_id: str) -> None:
        """Note the ids. They are Contit's own, not handles."""
        self.thread_id, self.run_id = thread_id, run_id
        self.span.set_attributes({"contit.thread_id": thread_id, "contit.run_id": run_id})
        self._say("Contit is working on it")

    def status(self, word: str) -> None:
        """Note Contit's word for the state of the run."""
        if self.run_id is not None and word.isprintable() and word != "in_progress":
            self._say(f"Contit is working on it ({word[:40].replace('_', ' ')})")

    def _say(self, message: str) -> None:
        if message != self._message:
            self._message = message
            self._changed.set()

    def note_error(self, error: errors.ContitError) -> None:
        """Set outcome and level of the log line: ERROR for bugs, settings and the server's credential, else WARNING."""
        self.facts["outcome"] = type(error).__name__
        refused = isinstance(error, errors.AuthenticationError | errors.PermissionDeniedError)
        ours = isinstance(error, errors.ConfigurationError | errors.UnexpectedError)
        ours = ours or (refused and self.caller.credential is None)
        self.level = logging.ERROR if ours else logging.WARNING

    def refusal(self, error: errors.ContitError) -> CallToolResult:
        """Return the result for an error, and note the error for the log line."""
        self.note_error(error)
        about = (None, None) if self.thread_id is None else self.tenant.shown(self.thread_id, self.run_id)
        return error_result(error, about=about, trace_id=self.trace_id)

    @asynccontextmanager
    async def progress(self) -> AsyncIterator[None]:
        """Send progress while the code inside runs, to a caller that asked for it. The code must not raise."""
        if not self.sends_progress:
            yield
            return
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._report_progress)
            await anyio.lowlevel.checkpoint()  # lets the first message go out before anything else
            yield
            beside.cancel_scope.cancel()

    async def _report_progress(self) -> None:
        """Send the seconds so far, which always grow: at once, at each new message, and at least every 10 s."""
        began = anyio.current_time()
        progress = 0.0
        while self.sends_progress:
            self._changed = anyio.Event()
            elapsed = anyio.current_time() - began
            progress = max(elapsed, progress + 0.001)
            message = f"{self._message}, {elapsed:.0f} s so far"
            try:
                await self.request.session.report_progress(round(progress, 3), message=message)
            except Exception:  # a message that cannot be sent must not end the call
                log.warning("progress.not_sent", exc_info=True)
                return
            with anyio.move_on_after(PROGRESS_SECONDS):
                await self._changed.wait()


async def run_call(
    tool: "Tool", arguments: Mapping[str, Any], request: Request, context: AppContext
) -> CallToolResult | Task:
    """Run one call and log one line about it. Every error becomes a result that says what to do now."""
    with logged_call(tool.listed.name, request, context) as call:
        async with call.progress():
            try:
                accepted, call.facts["dropped_arguments"] = accept(arguments, tool.arguments)
                result = await tool.run(call, **accepted)
            except errors.ContitError as error:
                result = call.refusal(error)
            except Exception:
                log.exception("call.crashed", tool=tool.listed.name)
                result = call.refusal(errors.UnexpectedError())
            else:
                found = result.structured_content or {} if isinstance(result, CallToolResult) else {"status": "task"}
                call.facts["outcome"] = found.get("status")
        if isinstance(result, CallToolResult) and request.protocol_version in MODERN_PROTOCOL_VERSIONS:
            result.meta = _SHORT_IDENTITY
        return result


@contextmanager
def logged_call(name: str, request: Request, context: AppContext, *, counts: bool = True) -> Iterator[Call]:
    """Log the call made inside as one line; with `counts` also count it in the metrics, under `name`."""
    stats = start_call_stats(context.metrics or NULL_LISTENER)
    call = Call(request, context)
    began = anyio.current_time()
    context.calls_in_flight += 1
    try:
        yield call
    finally:
        context.calls_in_flight -= 1
        seconds = round(anyio.current_time() - began, 3)
        outcome = call.facts.setdefault("outcome", "cancelled")
        if counts and context.metrics is not None:
            dropped = call.facts.get("dropped_arguments", 0)
            context.metrics.count_call(name, str(outcome), seconds, dropped=dropped, trace_id=call.trace_id)
        log.log(
            call.level,
            "call.finished",
            tool=name,
            thread_id=call.thread_id,
            run_id=call.run_id,
            seconds=seconds,
            polls=stats.events["poll"],
            requests=stats.requests,
            statuses=" ".join(f"{status}:{count}" for status, count in sorted(stats.statuses.items())),
            retries=stats.events["retry"],
            joins=stats.events["join"],
            store_errors=stats.events["store_error"],
            host=call.host,
            host_version=call.host_version,
            protocol=request.protocol_version,
            request_id=str(request.request_id),
            trace_id=call.trace_id,
            **call.facts,
        )


@contextmanager
def logged_request(request: Request, context: AppContext) -> Iterator[Call]:
    """Log a request that is no tool call in the same form, not counted; raise our errors as MCPError."""
    with logged_call(request.method, request, context, counts=False) as call:
        try:
            yield call
            call.facts.setdefault("outcome", "completed")
        except MCPError:
            call.facts["outcome"] = "unknown"
            raise
        except Exception as error:
            shown = error if isinstance(error, errors.ContitError) else errors.UnexpectedError()
            if shown is not error:
                log.exception("call.crashed", tool=request.method)
            call.note_error(shown)
            raise MCPError(INTERNAL_ERROR, f"{shown.message} {shown.hint}") from error


def _host_of(request: Request) -> tuple[str | None, str | None]:
    params = request.session.client_params
    if params is not None and params.client_info is not None:
        return params.client_info.name, params.client_info.version
    # Stateless HTTP up to 2025-11-25 has no clientInfo after `initialize`; the User-Agent replaces it.
    headers = getattr(request.request, "headers", None) or {}
    name, version = read_user_agent(headers.get("user-agent", ""))
    return name or None, version or None

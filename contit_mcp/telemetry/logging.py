"""Log events with known scalar fields, through the standard library's logging.

`get_logger` returns a structlog logger that works without any configuration, so that the package can be used inside
another application: it keeps the fields listed in `FIELDS`, truncates each, and passes the event to the standard
library. `configure_logging` is for the command line: one handler on stderr, JSON unless stderr is a terminal.

Credentials, prompts and answers have no field. Of a record of another library only the template is written, of an
exception only the types and the places: their texts could contain anything.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from opentelemetry import trace

_OURS = "contit_mcp"

FIELDS: dict[str, int] = {
    # the call
    "tool": 60, "owner": 120, "outcome": 60, "host": 60, "host_version": 60, "protocol": 20, "request_id": 60,
    "trace_id": 32, "dropped_arguments": 0,
    # the run
    "thread_id": 256, "run_id": 256, "end": 40, "word": 40, "taken_as": 40,
    # numbers
    "seconds": 0, "polls": 0, "requests": 0, "retries": 0, "joins": 0, "store_errors": 0, "pause_seconds": 0,
    "retry": 0, "calls_in_flight": 0, "keys": 400, "kept": 0, "bytes": 0, "size": 0, "status": 0, "lines": 0,
    "runs": 0, "records": 0, "lag_seconds": 0, "stretch": 0, "statuses": 100,
    # HTTP
    "method": 20, "path": 40, "refused": 40, "caller": 120, "client": 60, "url": 200, "auth": 20, "metrics_port": 0,
    # what happened, in words of ours
    "cause": 40, "reason": 60, "error": 1_000, "problem": 300, "hint": 300, "problems": 200, "meanwhile": 40,
    "variable": 60, "file": 300, "moved_to": 300, "key": 60,
    "ignored": 300, "endpoint": 40, "operation": 40, "kind": 40, "media_type": 100,
    # records of other libraries
    "logger": 100, "where": 200, "category": 60,
}  # fmt: skip
"""The fields of a log line, each with the most characters of a text in it. Any other field is dropped."""

_MOST_EVENT_CHARACTERS = 200
_LARGEST_NUMBER = 10**18
_MOST_CAUSES = 8
_TEMPLATE_START = re.compile(r"[^\n\r:=\"'`{\[(<]*")
_WARNING = re.compile(r"(?P<path>[^:\n]{1,300}):(?P<line>\d{1,9}): (?P<category>\w{1,60}):")

EventDict = MutableMapping[str, Any]


def get_logger(name: str) -> Any:
    """Return the logger of a module: `log.info("run.started", run_id=…)`."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            _with_trace_id,
            _without_exception_text,
            _known_fields,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def configure_logging(level: str = "INFO", *, stream: TextIO | None = None, as_json: bool | None = None) -> None:
    """Send every log line of this process to `stream`.

    Args:
        level: For our own events; other libraries log from WARNING on.
        stream: stderr by default; stdout carries the protocol.
        as_json: By default, true unless the stream is a terminal.
    """
    stream = stream or sys.stderr
    if as_json is None:
        as_json = not stream.isatty()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=24)
    )
    handler = _Handler(stream)
    handler.addFilter(_is_ours_or_serious)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.ExtraAdder(allow=FIELDS),
                _template_of_foreign_record,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            use_get_message=False,
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_exception_text,
                _truncated_foreign_event,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level)
    logging.captureWarnings(capture=True)


class _Handler(logging.StreamHandler[TextIO]):
    """Reports a line that cannot be written by its place only; the standard handler prints the arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        problem = sys.exc_info()[0]
        line = {"event": "log.failed", "level": "error", "error": problem.__name__ if problem else None}
        with suppress(Exception):  # a log that cannot be written must not break the call
            self.stream.write(json.dumps(line | {"where": f"{_short_path(record.pathname)}:{record.lineno}"}) + "\n")
            self.flush()


def _known_fields(_: object, __: str, event: EventDict) -> EventDict:
    kept: dict[str, Any] = {"event": _text(event.pop("event", ""), _MOST_EVENT_CHARACTERS)}
    for name, value in event.items():
        if (longest := FIELDS.get(name)) is not None:
            kept[name] = _scalar(value, longest)
    return kept


def _scalar(value: object, longest: int) -> str | float | bool | None:
    """Return a number, flag or short printable text; of any other object only its type."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if -_LARGEST_NUMBER < value < _LARGEST_NUMBER else "<out of range>"
    if isinstance(value, str):
        return _text(value, longest)
    return f"<{type(value).__name__}>"


def _text(value: object, longest: int) -> str:
    """Return a text truncated first, then with each character replaced that could end a line or hide others."""
    text = str.__str__(value) if isinstance(value, str) else f"<{type(value).__name__}>"
    cut = text[:longest]
    cut = cut if cut.isprintable() else "".join(c if c.isprintable() else " " for c in cut)
    return cut if len(text) <= longest else cut + "…"


def _with_trace_id(_: object, __: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event.setdefault("trace_id", trace.format_trace_id(span.trace_id))
    return event


def _without_exception_text(_: object, __: str, event: EventDict) -> EventDict:
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event["error"] = _text(describe_exception(error), FIELDS["error"])
    event.pop("stack_info", None)
    return event


def _is_ours_or_serious(record: logging.LogRecord) -> bool:
    """Hold other libraries to WARNING even where one sets the level of its own logger."""
    return record.levelno >= logging.WARNING or record.name == _OURS or record.name.startswith(f"{_OURS}.")


def _template_of_foreign_record(_: object, __: str, event: EventDict) -> EventDict:
    """Keep a foreign record's template. A text without arguments may be filled in already: keep its first words."""
    record: logging.LogRecord = event["_record"]
    arguments = event.pop("positional_args", None)
    if record.name == _OURS or record.name.startswith(f"{_OURS}."):
        return event
    event["logger"] = record.name
    event["where"] = f"{_short_path(record.pathname)}:{record.lineno}"
    if record.name == "py.warnings":
        text = str(arguments[0] if arguments else record.msg)[:500]
        event["event"] = "python warning"
        if warning := _WARNING.match(text):
            event["category"] = warning["category"]
            event["where"] = f"{_short_path(warning['path'])}:{warning['line']}"
    elif not isinstance(record.msg, str):
        event["event"] = f"<{type(record.msg).__name__}>"
        if isinstance(record.msg, BaseException):
            event.setdefault("exc_info", record.msg)
    elif not arguments:
        start = _TEMPLATE_START.match(record.msg[:_MOST_EVENT_CHARACTERS])
        event["event"] = start[0].strip() if start else ""
    return event


def _truncated_foreign_event(_: object, __: str, event: EventDict) -> EventDict:
    event["event"] = _text(event["event"], _MOST_EVENT_CHARACTERS)
    for name in ("logger", "where"):
        if name in event:
            event[name] = _text(event[name], FIELDS[name])
    return event


def describe_exception(error: BaseException) -> str:
    """Return the types of an exception and of its causes, each with the places it passed; never their texts."""
    parts: list[str] = []
    seen: set[int] = set()
    rest: list[BaseException] = [error]
    while rest and len(parts) < _MOST_CAUSES:
        error = rest.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        places = " < ".join(f"{frame.name} {_short_path(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
        parts.append(f"{type(error).__name__} in {places}" if places else type(error).__name__)
        if isinstance(error, BaseExceptionGroup):
            rest.extend(error.exceptions)
        rest.extend(cause for cause in (error.__cause__, error.__context__) if cause is not None)
    return " | ".join(parts)


def _short_path(path: str) -> str:
    """Return a file with the two folders that contain it."""
    return "/".join(path.replace("\\", "/").rsplit("/", 3)[-3:])

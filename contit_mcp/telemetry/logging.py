"""Log events with known scalar fields, through the standard library's logging.

`get_logger` returns a structlog logger that works without any configuration, so that the package can be used inside
another application: it keeps the fields listed in `FIELDS`, truncates each, and passes the event to the standard
library. `configure_logging` is for the command line: one handler on stderr, JSON unless stderr is a terminal.

Credentials, prompts and answers have no field. Of another library's record only the template is written, and of an
exception only the types and places, because their texts could contain anything.
"""

import logging
import re
import sys
import traceback
import warnings
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from opentelemetry import trace

_OURS = "contit_mcp"
logging.getLogger(_OURS).addHandler(logging.NullHandler())  # without any handler Python prints warnings to stderr

FIELDS: dict[str, int] = {
    # the call
    "tool": 60, "owner": 120, "outcome": 60, "host": 60, "host_version": 60, "protocol": 20, "request_id": 60,
    "trace_id": 32, "dropped_arguments": 0,
    # the run
    "thread_id": 256, "run_id": 256, "end": 40, "word": 40, "taken_as": 40,
    # numbers
    "seconds": 0, "polls": 0, "requests": 0, "retries": 0, "joins": 0, "store_errors": 0, "pause_seconds": 0,
    "retry": 0, "calls_in_flight": 0, "keys": 0, "kept": 0, "bytes": 0, "size": 0, "status": 0, "stretch": 0,
    "statuses": 100,
    # HTTP
    "method": 20, "path": 40, "refused": 40, "caller": 120, "client": 60, "url": 200, "auth": 20, "metrics_port": 0,
    # what happened, in words of ours
    "cause": 40, "reason": 60, "error": 1_000, "problem": 300, "hint": 300, "meanwhile": 40, "file": 300,
    "moved_to": 300, "key": 60, "media_type": 100,
    # records of other libraries
    "logger": 100, "where": 200, "category": 60,
}  # fmt: skip
"""The fields of a log line, each with the maximum length of its text (0: a number). Any other field is dropped."""

_MOST_EVENT_CHARACTERS = 200
_LARGEST_NUMBER = 10**18
_MOST_CAUSES = 8
_TEMPLATE_START = re.compile(r"[^\n\r:=\"'`{\[(<]*")

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
    """Send every log line of this process to `stream`: stderr by default, since stdout carries the protocol.

    Our own events are written from `level` on, those of other libraries from WARNING on; as JSON unless the stream is a
    terminal or `as_json` says otherwise.
    """
    stream = stream or sys.stderr
    if as_json is None:
        as_json = not stream.isatty()
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if not as_json:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=24)
    handler = logging.StreamHandler(stream)
    handler.addFilter(lambda record: _is_ours(record) or record.levelno >= logging.WARNING)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.ExtraAdder(allow=FIELDS),
                _without_foreign_content,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            use_get_message=False,
            pass_foreign_args=True,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_exception_text, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_OURS).setLevel(level)
    logging.raiseExceptions = False  # a line that cannot be written would be printed with its arguments
    warnings.showwarning = _log_warning


def _log_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: object, **more: object
) -> None:
    del message, rest, more  # they can quote anything
    get_logger(_OURS).warning("python.warning", category=category.__name__, where=f"{_short_path(filename)}:{lineno}")


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name == _OURS or record.name.startswith(f"{_OURS}.")


def _known_fields(_: object, __: str, event: EventDict) -> EventDict:
    kept: dict[str, Any] = {"event": _text(event.pop("event", ""), _MOST_EVENT_CHARACTERS)}
    return kept | {name: _scalar(value, FIELDS[name]) for name, value in event.items() if name in FIELDS}


def _scalar(value: object, longest: int) -> str | float | bool | None:
    """Return a number, a flag, or a short printable text; for any other object, the name of its type."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if -_LARGEST_NUMBER < value < _LARGEST_NUMBER else "<out of range>"
    return _text(value, longest)


def _text(value: object, longest: int) -> str:
    """Return a truncated text, in which spaces replace the characters that could end a line or hide others."""
    text = str.__str__(value) if isinstance(value, str) else f"<{type(value).__name__}>"
    cut = text[:longest]
    if not cut.isprintable():
        cut = "".join(character if character.isprintable() else " " for character in cut)
    return cut if len(text) <= longest else cut + "…"


def _with_trace_id(_: object, __: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event.setdefault("trace_id", trace.format_trace_id(span.trace_id))
    return event


def _without_exception_text(_: object, __: str, event: EventDict) -> EventDict:
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["error"] = _text(_describe(error), FIELDS["error"])
    event.pop("stack_info", None)
    return event


def _without_foreign_content(_: object, __: str, event: EventDict) -> EventDict:
    """Keep the template of another library's record, without its arguments.

    A text without arguments may have values in it already: keep it up to the first sign that usually precedes a value.
    """
    record: logging.LogRecord = event["_record"]
    arguments = event.pop("positional_args", None)
    if _is_ours(record):
        return event
    template = record.msg
    if isinstance(template, BaseException):
        event.setdefault("exc_info", template)
    if isinstance(template, str) and not arguments and (start := _TEMPLATE_START.match(template[:500])):
        template = start[0].strip()
    event["event"] = _text(template, _MOST_EVENT_CHARACTERS)
    event["logger"] = _text(record.name, FIELDS["logger"])
    event["where"] = _text(f"{_short_path(record.pathname)}:{record.lineno}", FIELDS["where"])
    return event


def _describe(error: BaseException) -> str:
    """Return the types of an exception and its causes, each with the places it passed through; never the texts."""
    parts: list[str] = []
    rest = [error]
    while rest and len(parts) < _MOST_CAUSES:
        error = rest.pop(0)
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        places = " < ".join(f"{frame.name} {_short_path(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
        parts.append(f"{type(error).__name__} in {places}" if places else type(error).__name__)
        members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        rest += [each for each in (*members, error.__cause__ or error.__context__) if each is not None]
    return " | ".join(parts)


def _short_path(path: str) -> str:
    """Return the name of a file with its two innermost folders."""
    return "/".join(path.replace("\\", "/").rsplit("/", 3)[-3:])

"""One pipeline for structlog and the standard library: to stderr, JSON when that is not a terminal.

What must never be written: credentials, prompts, answers. So our own events are words with named values, and
`redaction` says what of the values is shown; of other libraries' records only the template is written, never
what was filled in; of exceptions only the types and the places, never their texts.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from opentelemetry import trace

from contit_mcp.config.secret_value import SecretValue
from contit_mcp.telemetry.redaction import Redactor, describe_exception, short_path

_OURS = "contit_mcp"
_BEFORE_ANYTHING_FILLED_IN = re.compile(r"[^\n\r:=\"'`{\[(<]*")
_WARNING = re.compile(r"(?P<path>.+?):(?P<line>\d+): (?P<category>\w+):")

EventDict = MutableMapping[str, Any]


def configure_logging(
    level: str = "INFO",
    *,
    stream: TextIO | None = None,
    as_json: bool | None = None,
    secrets: Iterable[SecretValue] = (),
) -> None:
    """Send every log line of this process to `stream`.

    Args:
        level: For our own events; other libraries speak from WARNING on.
        stream: stderr by default. stdout belongs to the protocol.
        as_json: By default, when the stream is not a terminal.
        secrets: Values to replace wherever they turn up.
    """
    stream = stream or sys.stderr
    if as_json is None:
        as_json = not stream.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=False,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=24)
    )
    redactor = Redactor(secrets)
    handler = _DiscreetHandler(stream)
    handler.addFilter(_is_ours_or_serious)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_without_what_was_filled_in, *shared],
            use_get_message=False,
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exception_without_its_text,
                lambda _, __, event: redactor.event(event),
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


class _DiscreetHandler(logging.StreamHandler[TextIO]):
    """Says of a line that could not be written only that; the standard one prints all that was to be in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        problem = sys.exc_info()[0]
        line = {"event": "log.failed", "level": "error", "error": problem.__name__ if problem else None}
        with suppress(Exception):
            self.stream.write(json.dumps(line | {"where": f"{short_path(record.pathname)}:{record.lineno}"}) + "\n")
            self.flush()


def _with_trace_id(_: object, __: str, event: EventDict) -> EventDict:
    """By it the lines of one call are found among others, and in traces."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event.setdefault("trace_id", trace.format_trace_id(span.trace_id))
    return event


def _is_ours_or_serious(record: logging.LogRecord) -> bool:
    """Hold others to WARNING even where a library sets the level of its own logger."""
    return record.levelno >= logging.WARNING or record.name == _OURS or record.name.startswith(f"{_OURS}.")


def _without_what_was_filled_in(_: object, __: str, event: EventDict) -> EventDict:
    """Keep a foreign record's template. One without arguments may have been filled in before: keep its beginning."""
    record: logging.LogRecord = event["_record"]
    arguments = event.pop("positional_args", None)
    event["logger"] = record.name
    event["where"] = f"{short_path(record.pathname)}:{record.lineno}"
    if record.name == "py.warnings":
        text = str(arguments[0] if arguments else record.msg)
        event["event"] = "python warning"
        if warning := _WARNING.match(text):
            event["category"] = warning["category"]
            event["where"] = f"{short_path(warning['path'])}:{warning['line']}"
    elif not isinstance(record.msg, str):
        event["event"] = f"<{type(record.msg).__name__}>"
        if isinstance(record.msg, BaseException):
            event.setdefault("exc_info", record.msg)
    elif not arguments:
        beginning = _BEFORE_ANYTHING_FILLED_IN.match(record.msg)
        event["event"] = beginning[0].strip() if beginning else ""
    return event


def _exception_without_its_text(_: object, __: str, event: EventDict) -> EventDict:
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event["error"] = describe_exception(error)
    event.pop("stack_info", None)
    return event

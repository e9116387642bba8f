"""One pipeline for structlog and the standard library: to stderr, JSON when that is not a terminal.

What must never be written: credentials, prompts, answers. So our own events are words with named values;
of other libraries' records only the template is written, never what was filled in; of exceptions only the
types and the places, never their texts; values under telling names are masked; and known secrets are
replaced in the finished line, whatever it came from.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterable, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from contit_mcp.secret_value import SecretValue

_MASK = "[masked]"
_TELLING = re.compile(
    r"prompt|question|answer|response|authorization|api[-_]?key|token|secret|password|passwd|credential|cookie|"
    r"headers?$|body|arguments|params$|content",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(r"(?i)\b(bearer\s+|x-api-key['\"]?\s*[:=]\s*['\"]?|api_key=)[^\s'\",}&]+|\bctpat_\w+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_VALUE = 300
_MOST_CAUSES = 12
_SHORTEST_SECRET = 6
"""A shorter one is no secret, and would blank out half the log."""

EventDict = MutableMapping[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


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
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_the_library, *shared],
            use_get_message=False,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exception_without_its_text,
                _mask_values,
                _MaskSecrets(renderer, tuple(secrets)),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("contit_mcp").setLevel(level)
    logging.captureWarnings(capture=True)


def _name_the_library(_: object, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    if record.name == "py.warnings":
        event["event"] = "python warning"  # its template is "%s" and its text can quote anything
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


def describe_exception(error: BaseException) -> list[str]:
    """The types of an exception and its causes, each with the places it passed; never a text of theirs."""
    lines: list[str] = []
    seen: set[int] = set()
    rest: list[BaseException] = [error]
    while rest and len(lines) < _MOST_CAUSES:
        error = rest.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        places = " < ".join(f"{frame.name} {_short(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
        lines.append(f"{type(error).__name__} in {places}" if places else type(error).__name__)
        if isinstance(error, BaseExceptionGroup):
            rest.extend(error.exceptions)
        rest.extend(cause for cause in (error.__cause__, error.__context__) if cause is not None)
    return lines


def _short(path: str) -> str:
    return "/".join(path.replace("\\", "/").rsplit("/", 3)[-3:])


def _mask_values(_: object, __: str, event: EventDict) -> EventDict:
    for key, value in list(event.items()):
        event[key] = _MASK if key != "event" and _TELLING.search(key) else _plain(value)
    return event


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _MASK if _TELLING.search(str(key)) else _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = _CREDENTIAL.sub(_MASK, _CONTROL.sub(" ", str(value)))
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


class _MaskSecrets:
    """Renders the line, and replaces known secrets in it."""

    def __init__(self, renderer: structlog.typing.Processor, secrets: tuple[SecretValue, ...]) -> None:
        self._renderer = renderer
        self._secrets = secrets

    def __call__(self, logger: object, method: str, event: EventDict) -> str:
        line = str(self._renderer(logger, method, event))
        for secret in self._secrets:
            for value in secret.seen():
                if len(value) >= _SHORTEST_SECRET:
                    line = line.replace(value, _MASK)
        return line

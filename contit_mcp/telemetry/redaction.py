"""What a log line may show of the values that were given to it.

Values under telling names are masked, known secrets and what looks like a credential are cut out of texts, and
of an object that is no plain value only the type is told: its text could hold anything.
"""

import functools
import itertools
import json
import math
import re
import traceback
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

from contit_mcp.config.secret_value import SecretValue

_MASK = "[masked]"
_TELLING = re.compile(
    r"prompt|question|answer|response|authorization|api[-_]?key|(seal|private)[-_]?key|token|secret|passw|passphrase|"
    r"credential|cookie|query|headers?$|body|arguments|params$|content|(^|[-_])text$",
    re.IGNORECASE,
)
_NAMES = r"authorization|x-api-key|api[-_]?key|\w*(?:token|secret|password)"
_CREDENTIALS: tuple[tuple[re.Pattern[str], str], ...] = (
    # name=value, name: value, "name": "value", (b"name", b"value")
    (
        re.compile(
            rf"\b({_NAMES})(?:['\"]?\s*[:=]\s*|['\"],\s*)(?:b(?=['\"]))?['\"]?(?:(?:bearer|basic)\s+)?[^\s'\",}}&)]+",
            re.IGNORECASE,
        ),
        rf"\1={_MASK}",
    ),
    (re.compile(r"\b(bearer)\s+[^\s'\",}&)]+|\b(basic)\s+[\w+/=-]{8,}", re.IGNORECASE), _MASK),
    (re.compile(r"\bctpat_\w+|\beyJ[\w-]+\.[\w.-]+"), _MASK),
    (re.compile(r"(?<=://)[^\s/@]*@"), f"{_MASK}@"),
    (re.compile(r"(\w://[^\s?#'\"]*)[?#][^\s'\"]*"), rf"\1?{_MASK}"),
)
_PLAIN = re.compile(r"(?!.*(?:ctpat_|eyJ))[A-Za-z0-9_./-]*|[0-9TZ.:+-]*")
"""Ids, numbers, times and single words, which are most of what is logged: none of the patterns here can be in them."""

_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Could end the line, move the cursor, reverse what is read, or not be encoded."""

_NUMBER = re.compile(r"[0-9.e+-]+")
_LARGE = 10**18
_MOST_NAMES = 500
_LONGEST_TEXT = 300
_MOST_ITEMS = 30
_DEEPEST = 5
_MOST_CAUSES = 12
_SHORTEST_SECRET = 6
"""A shorter one is no secret, and would blank out half the log."""


class Redactor:
    """Makes values fit to be logged.

    Args:
        secrets: Their values are cut out of every text, the ones they had before too.
    """

    def __init__(self, secrets: Iterable[SecretValue] = ()) -> None:
        self._secrets = tuple(secrets)
        self._seen: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self._known_number = False
        self._names: dict[str, str] = {}

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the named values of one event."""
        self._learn()
        return {
            self._shown_name(key): self._value(value) if key == "event" else self._named(key, value)
            for key, value in event.items()
        }

    def text(self, text: str) -> str:
        """Return `text` on one line, without credentials, and cut when it is long."""
        self._learn()
        return self._text(text)

    def _learn(self) -> None:
        """Secrets that were read since the last time are known from now on."""
        seen = frozenset().union(*(secret.seen() for secret in self._secrets))
        if seen == self._seen:
            return
        spellings = _spellings(seen)
        self._known = re.compile("|".join(map(re.escape, spellings))) if spellings else None
        self._known_number = any(_NUMBER.fullmatch(spelling) for spelling in spellings)
        self._names.clear()
        self._seen = seen

    def _text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(_MASK, text)
        if not _PLAIN.fullmatch(text):
            for pattern, replacement in _CREDENTIALS:
                text = pattern.sub(replacement, text)
            text = _UNPRINTABLE.sub(" ", text)
        return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"

    def _shown_name(self, name: str) -> str:
        """Names are few, and the same in each line."""
        if (shown := self._names.get(name)) is None:
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            shown = self._names[name] = self._text(name)
        return shown

    def _value(self, value: Any, depth: int = 0) -> Any:
        """A text, number, list or dictionary, with nothing in it that must not be written."""
        try:
            return self._redacted(value, depth)
        except Exception:  # noqa: BLE001 - whatever a foreign object raises; a log line must not break its call
            return f"<{type(value).__name__}>"

    def _redacted(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, str | PurePath | UUID | date | timedelta | Decimal):
            return self._text(str(value))
        if isinstance(value, BaseException):
            return [self._text(line) for line in describe_exception(value)]
        if depth < _DEEPEST and isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._several(value, depth + 1)
        return f"<{type(value).__name__}>"

    def _number(self, value: float) -> float | str:
        if not self._known_number and -_LARGE < value < _LARGE:
            return value
        text = str(value)
        return value if math.isfinite(value) and self._text(text) == text else self._text(text)

    def _several(self, values: Mapping[Any, Any] | Collection[Any], depth: int) -> Any:
        if isinstance(values, Mapping):
            items = itertools.islice(values.items(), _MOST_ITEMS)
            return {self._text(_name(key)): self._named(_name(key), item, depth) for key, item in items}
        if isinstance(values, tuple) and len(values) == 2 and _is_telling(_name(values[0])):
            return [self._text(_name(values[0])), _MASK]  # a header, as ASGI and httpx have them
        shown = [self._value(item, depth) for item in itertools.islice(values, _MOST_ITEMS)]
        return [*shown, "…"] if len(values) > _MOST_ITEMS else shown

    def _named(self, name: str, value: Any, depth: int = 0) -> Any:
        return _MASK if _is_telling(name) else self._value(value, depth)


def _spellings(values: Iterable[str]) -> list[str]:
    spellings = {
        spelling
        for value in values
        if len(value) >= _SHORTEST_SECRET
        for spelling in (
            value,
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            repr(value)[1:-1],
            quote(value, safe="", errors="replace"),
            quote_plus(value, errors="replace"),
        )
    }
    return sorted(spellings, key=len, reverse=True)


@functools.lru_cache(maxsize=500)
def _is_telling(name: str) -> bool:
    return _TELLING.search(name) is not None


def _name(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("latin-1")
    return key if isinstance(key, str) else f"<{type(key).__name__}>"


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
        places = " < ".join(f"{frame.name} {short_path(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
        lines.append(f"{type(error).__name__} in {places}" if places else type(error).__name__)
        if isinstance(error, BaseExceptionGroup):
            rest.extend(error.exceptions)
        rest.extend(cause for cause in (error.__cause__, error.__context__) if cause is not None)
    return lines


def short_path(path: str) -> str:
    """The file and the two folders it stands in."""
    return "/".join(path.replace("\\", "/").rsplit("/", 3)[-3:])

"""Scripted answers: a prompt or a pattern, and the text, the time and the fault that answer it.

A file is a JSON list, or JSON lines, of objects such as::

    {"prompt": "Which drafts are there?", "answer": "Two: **One** and **Two**.", "seconds": 3}
    {"pattern": "(?i)price of (.+)", "answer": "\\1 costs 10 euros."}
    {"prompt": "Fail once", "fault": "failed", "times": 1}
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from contit_mcp.sandbox.faults import Fault, parse_fault

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
MAX_ANSWERS: Final = 1_000
_FIELDS: Final = ("prompt", "pattern", "answer", "seconds", "fault", "times")


class AnswersError(ValueError):
    """A scripted answer cannot be used; the message names the file and the record."""


@dataclass(frozen=True)
class ScriptedAnswer:
    """What answers the prompts that match. Without an answer, the content answers."""

    prompt: str | None = None
    """The whole prompt; case and white space do not matter."""
    pattern: re.Pattern[str] | None = None
    """A Python regular expression that is searched for in the prompt."""
    answer: str | None = None
    """The text; "\\1" is the first group of the pattern."""
    seconds: float | None = None
    """How long the run takes; None: as long as any run."""
    fault: Fault | None = None
    """The fault that the start request meets."""
    times: int | None = None
    """How many prompts it answers; None: every one."""

    def matches(self, prompt: str) -> re.Match[str] | bool:
        """Return whether it answers a prompt: the match of the pattern, or True."""
        if self.pattern is not None:
            return self.pattern.search(prompt) or False
        return _normal(prompt) == self.prompt


@dataclass
class ScriptedAnswers:
    """The scripted answers of a sandbox, in their order: the first that matches answers."""

    initial: tuple[ScriptedAnswer, ...] = ()
    _left: list[tuple[ScriptedAnswer, int | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the answers of the start."""
        self.reset()

    def reset(self) -> None:
        """Return to the answers of the start."""
        self._left = [(one, one.times) for one in self.initial]

    def add(self, answer: ScriptedAnswer) -> None:
        """Append an answer. Raises AnswersError at the limit."""
        if len(self._left) >= MAX_ANSWERS:
            msg = f"there are {MAX_ANSWERS:,} scripted answers, which is the limit"
            raise AnswersError(msg)
        self._left.append((answer, answer.times))

    def take(self, prompt: str) -> tuple[ScriptedAnswer, str | None] | None:
        """Return the answer to a prompt and its text, and count it."""
        for at, (answer, left) in enumerate(self._left):
            match = answer.matches(prompt)
            if not match:
                continue
            if left is not None:
                self._left[at : at + 1] = [(answer, left - 1)] if left > 1 else []
            text = answer.answer
            return answer, match.expand(text) if text is not None and isinstance(match, re.Match) else text
        return None


def load_answers(path: Path) -> tuple[ScriptedAnswer, ...]:
    """Read a file of scripted answers. Raises AnswersError."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            msg = f"{path}: the file is over {MAX_FILE_BYTES // 1024 // 1024} MB"
            raise AnswersError(msg)
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as exc:
        msg = f"{path}: the file is not UTF-8 text"
        raise AnswersError(msg) from exc
    except OSError as exc:
        msg = f"{path}: the file cannot be read: {exc.strerror or type(exc).__name__}"
        raise AnswersError(msg) from exc
    try:
        records = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(one) for one in text.splitlines() if one.strip()]
        )
    except (ValueError, RecursionError) as exc:
        msg = f"{path}: this is neither a JSON list nor JSON lines"
        raise AnswersError(msg) from exc
    if len(records) > MAX_ANSWERS:
        msg = f"{path}: the file has {len(records):,} answers; the limit is {MAX_ANSWERS:,}"
        raise AnswersError(msg)
    return tuple(parse_answer(record, f"{path}, record {number}: ") for number, record in enumerate(records, 1))


def parse_answer(record: Any, place: str = "") -> ScriptedAnswer:
    """Read one scripted answer. Raises AnswersError."""
    problem = _problem(record)
    if problem:
        raise AnswersError(place + problem)
    try:
        pattern = re.compile(record["pattern"]) if "pattern" in record else None
        if pattern is not None and "answer" in record:
            _check_groups(pattern, record["answer"])
        fault = parse_fault(record["fault"]) if "fault" in record else None
    except (ValueError, re.error) as exc:
        raise AnswersError(f"{place}{exc}") from exc
    if fault and not fault.happens_on("start"):
        raise AnswersError(f"{place}the fault {record['fault']!r} does not happen on start")
    prompt = _normal(record["prompt"]) if "prompt" in record else None
    return ScriptedAnswer(prompt, pattern, record.get("answer"), record.get("seconds"), fault, record.get("times"))


def _problem(record: Any) -> str | None:
    """Return what is wrong with the fields of a record."""
    if not isinstance(record, dict):
        return "a scripted answer is an object"
    if unknown := next((name for name in record if name not in _FIELDS), None):
        return f"unknown field {unknown!r}: the fields are {', '.join(_FIELDS)}"
    if ("prompt" in record) == ("pattern" in record):
        return "a scripted answer has either a prompt or a pattern"
    if not any(name in record for name in ("answer", "seconds", "fault")):
        return "a scripted answer has an answer, seconds or a fault"
    for name in ("prompt", "pattern", "answer", "fault"):
        if name in record and not isinstance(record[name], str):
            return f"{name} must be text"
    seconds, times = record.get("seconds", 0), record.get("times", 1)
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, (int, float))
        or not (math.isfinite(seconds) and seconds >= 0)
    ):
        return "seconds must be a number from 0"
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        return "times must be a whole number from 1"
    return None


def _check_groups(pattern: re.Pattern[str], answer: str) -> None:
    """Raise ValueError for an answer with a group that the pattern does not have."""
    alternatives = re.compile(f"(?:{pattern.pattern})|", pattern.flags)
    empty = alternatives.fullmatch("")
    try:
        if empty:
            empty.expand(answer)
    except (re.error, IndexError) as exc:
        msg = f"the answer refers to a group that the pattern does not have: {exc}"
        raise ValueError(msg) from exc


def _normal(prompt: str) -> str:
    return " ".join(prompt.split()).casefold()

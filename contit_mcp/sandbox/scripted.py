"""Scripted answers: a prompt or a pattern, and the text, the time and the fault that answer it.

A file is a JSON list, or JSON lines, of objects such as::

    {"prompt": "Which drafts are there?", "answer": "Two: **One** and **Two**.", "seconds": 3}
    {"pattern": "price of (.+)", "answer": "\\1 costs 10 euros."}
    {"prompt": "Fail once", "fault": "failed", "times": 1}
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contit_mcp.sandbox.faults import Fault, parse_fault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
MAX_ANSWERS: Final = 1_000


class AnswersError(ValueError):
    """A scripted answer cannot be used; the message names the file and the record."""


class ScriptedAnswer(BaseModel):
    """What answers the prompts that match. Without an answer, the content answers."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    prompt: str | None = None
    """The whole prompt; case and white space do not matter."""
    pattern: str | None = None
    """A regular expression that is searched for in the prompt, whatever its case."""
    answer: str | None = None
    """The text; "\\1" is the first group of the pattern."""
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    """How long the run takes; None: as long as any run."""
    fault: str | None = None
    """The fault that the start request meets, as text."""
    times: int | None = Field(None, ge=1)
    """How many prompts it answers; None: every one."""

    @model_validator(mode="after")
    def _check(self) -> ScriptedAnswer:
        """Refuse what could never answer."""
        if (self.prompt is None) == (self.pattern is None):
            raise ValueError("it needs either a prompt or a pattern")
        if self.answer is None and self.seconds is None and self.fault is None:
            raise ValueError("it needs an answer, seconds or a fault")
        if self.fault and not parse_fault(self.fault).happens_on("start"):
            raise ValueError(f"the fault {self.fault!r} does not happen on start")
        try:
            # An alternative that matches nothing has every group, so that the answer can be tried out.
            if (empty := re.compile(f"(?:{self.pattern or ''})|").fullmatch("")) and self.answer and self.pattern:
                empty.expand(self.answer)
        except (re.error, IndexError) as exc:
            raise ValueError(f"the pattern and the answer do not fit: {exc}") from exc
        return self

    def text_for(self, prompt: str) -> tuple[bool, str | None]:
        """Return whether it answers a prompt, and with which text."""
        if self.pattern is None:
            return _normal(prompt) == _normal(self.prompt or ""), self.answer
        match = re.search(self.pattern, prompt, re.IGNORECASE)
        return match is not None, match.expand(self.answer) if match and self.answer is not None else None


class ScriptedAnswers:
    """The scripted answers of a sandbox, in their order: the first that matches answers."""

    def __init__(self, initial: Iterable[ScriptedAnswer] = ()) -> None:
        self._initial = tuple(initial)
        self.reset()

    def reset(self) -> None:
        """Return to the answers of the start."""
        self._left = [[one, one.times] for one in self._initial]

    def add(self, answer: ScriptedAnswer) -> None:
        """Append an answer. Raises AnswersError at the limit."""
        if len(self._left) >= MAX_ANSWERS:
            raise AnswersError(f"there are {MAX_ANSWERS:,} scripted answers, which is the limit")
        self._left.append([answer, answer.times])

    def take(self, prompt: str) -> tuple[ScriptedAnswer, str | None] | None:
        """Return the answer to a prompt and its text, and count it."""
        for pair in self._left:
            matches, text = pair[0].text_for(prompt)
            if matches:
                if pair[1] is not None:
                    pair[1] -= 1
                self._left = [one for one in self._left if one[1] != 0]
                return pair[0], text
        return None


def load_answers(path: Path) -> tuple[ScriptedAnswer, ...]:
    """Read a file of scripted answers. Raises AnswersError."""
    try:
        text = path.read_bytes()[: MAX_FILE_BYTES + 1].decode("utf-8-sig")
        lines = [] if text.lstrip().startswith("[") else [line for line in text.splitlines() if line.strip()]
        records = [json.loads(line) for line in lines] or json.loads(text)
    except OSError as exc:
        raise AnswersError(f"{path}: the file cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise AnswersError(f"{path}: this is neither a JSON list nor JSON lines, or over 4 MB: {exc}") from exc
    if len(records) > MAX_ANSWERS:
        raise AnswersError(f"{path}: the file has more than {MAX_ANSWERS:,} answers")
    return tuple(parse_answer(record, f"{path}, record {number}: ") for number, record in enumerate(records, 1))


def parse_answer(record: Any, place: str = "") -> ScriptedAnswer:
    """Read one scripted answer. Raises AnswersError."""
    try:
        return ScriptedAnswer.model_validate(record)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise AnswersError(f"{place}{name + ': ' if name else ''}{first['msg']}") from exc


def fault_of(answer: ScriptedAnswer) -> Fault | None:
    """Return the fault of a scripted answer."""
    return parse_fault(answer.fault) if answer.fault else None


def _normal(prompt: str) -> str:
    return " ".join(prompt.split()).casefold()

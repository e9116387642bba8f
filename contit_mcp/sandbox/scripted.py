"""Scripted answers: a prompt or a pattern, and the text, the time and the fault that answer it (docs/sandbox.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from contit_mcp.sandbox.faults import parse_fault

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


_LIST: Final = TypeAdapter(Annotated[list[ScriptedAnswer], Field(max_length=MAX_ANSWERS)])


def load_answers(path: Path) -> tuple[ScriptedAnswer, ...]:
    """Read a file of scripted answers. Raises AnswersError."""
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(f"it is over {MAX_FILE_BYTES // 1024 // 1024} MB")  # noqa: TRY301 - told with the file
        return parse_answers(json.loads(raw), f"{path}, ")
    except AnswersError:
        raise
    except (OSError, ValueError, RecursionError) as exc:
        raise AnswersError(f"{path}: {exc}") from exc


def parse_answers(records: Any, place: str = "") -> tuple[ScriptedAnswer, ...]:
    """Read scripted answers. Raises AnswersError that names the first bad record."""
    try:
        return tuple(_LIST.validate_python(records))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        number, *names = first["loc"] or ("",)
        record = f"record {number + 1}: " if isinstance(number, int) else ""
        raise AnswersError(f"{place}{record}{'.'.join(map(str, names))}: {first['msg']}".replace(": :", ":")) from exc


def _normal(prompt: str) -> str:
    return " ".join(prompt.split()).casefold()

"""How one sandbox behaves: its options, faults and scripted answers (docs/sandbox.md)."""

import datetime as dt
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass as validated_dataclass

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_ANSWERS: Final = 1_000

Endpoint = Literal["start", "status", "response", "token"]

KINDS: Final = (
    "redirect", "html", "html-error", "empty", "malformed", "missing-field", "unknown-status", "failed", "endless",
    "slow", "delay", "drop-before", "drop-after",
)  # fmt: skip
"""docs/sandbox.md says what each does. The numbers 400 to 599 are kinds too."""

_ONLY_ON: Final[dict[str, Endpoint]] = {
    "failed": "start", "endless": "start", "slow": "start", "unknown-status": "status"
}  # fmt: skip
_NEEDS: Final = {"slow": "seconds", "delay": "seconds", "unknown-status": "status_word"}


@validated_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fault:
    """One thing that goes wrong. Raises ValueError for settings that do not fit the kind."""

    kind: str  # an HTTP status from 400 to 599, or one of `KINDS`
    on: Literal["start", "status", "response", "token", "any"] = "any"
    times: int | None = Field(default=1, ge=1)  # None: every request
    after: int = Field(default=0, ge=0)  # how many requests are let through before the first
    retry_after: str | None = None
    status_word: str | None = None
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check(self) -> "Fault":
        if not re.fullmatch(r"[45]\d\d", self.kind) and self.kind not in KINDS:
            raise ValueError(f"the kind is not a status from 400 to 599 or one of {', '.join(KINDS)}")
        if self.on not in ("any", _ONLY_ON.get(self.kind, self.on)):
            raise ValueError(f"{self.kind} can only happen on={_ONLY_ON[self.kind]}, not on={self.on}")
        if (needed := _NEEDS.get(self.kind)) and getattr(self, needed) is None:
            raise ValueError(f"{self.kind} needs {needed}")
        return self

    def happens_on(self, endpoint: Endpoint) -> bool:
        """Return whether this fault concerns requests to the endpoint."""
        return endpoint == _ONLY_ON.get(self.kind, endpoint) and self.on in ("any", endpoint)


def parse_fault(text: str) -> Fault:
    """Read a fault from its text form, such as "503 on=start times=2 retry_after=3". Raises ValueError."""
    kind, *settings = shlex.split(text) or [""]
    values: dict[str, Any] = dict(setting.partition("=")[::2] for setting in settings)
    if values.get("times") == "forever":
        values["times"] = None
    try:
        return Fault(kind, **values)
    except ValidationError as exc:
        raise ValueError(f"{first_mistake(exc)}, in fault {text.strip()!r}") from None


class DataError(ValueError):
    """Content, scripted answers or faults cannot be used; the message names the file and the record, or the limit."""


class ScriptedAnswer(BaseModel):
    """A scripted answer to the prompts that match. Without `answer`, the text comes from the content as usual."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    after: ClassVar[int] = 0  # for SandboxRecord, which reads it of faults too
    prompt: str | None = None
    pattern: str | None = None
    answer: str | None = None
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    fault: str | None = None
    times: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _check(self) -> "ScriptedAnswer":
        if (self.prompt is None) == (self.pattern is None):
            raise ValueError("it needs exactly one of prompt and pattern")
        if self.answer is None and self.seconds is None and self.fault is None:
            raise ValueError("it needs an answer, seconds or a fault")
        if self.fault and not parse_fault(self.fault).happens_on("start"):
            raise ValueError(f"the fault {self.fault!r} does not happen on start")
        try:
            # With an empty alternative the pattern matches "", so that the groups of the answer can be checked.
            if (empty := re.compile(f"(?:{self.pattern or ''})|").fullmatch("")) and self.answer and self.pattern:
                empty.expand(self.answer)
        except (re.error, IndexError) as exc:
            raise ValueError(f"the pattern and the answer do not fit: {exc}") from exc
        return self

    def match(self, prompt: str) -> re.Match[str] | None:
        """Return the match if it answers a prompt. White space and case do not matter."""
        words = r"\s+".join(map(re.escape, (self.prompt or "").split()))
        return re.search(self.pattern or rf"\A\s*{words}\s*\Z", prompt, re.IGNORECASE)

    def text_for(self, prompt: str) -> str | None:
        """Return its text for a prompt that it answers, with the groups of its pattern; None if it has none."""
        match = self.match(prompt)
        return match.expand(self.answer) if self.pattern and self.answer and match else self.answer


Answers = Annotated[list[ScriptedAnswer], Field(max_length=MAX_ANSWERS)]


def load_answers(path: Path) -> list[ScriptedAnswer]:
    """Read a file of scripted answers. Raises DataError."""
    try:
        return TypeAdapter(Answers).validate_json(read_text(path))
    except ValidationError as exc:
        raise DataError(f"{path}, {first_mistake(exc)}") from exc
    except (OSError, ValueError) as exc:
        raise DataError(f"{path}: {exc}") from exc


def read_text(path: Path) -> str:
    """Return the text of a file of the user. Raises OSError or ValueError."""
    raw = path.read_bytes()
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError(f"it is over {MAX_FILE_BYTES // 1024 // 1024} MB")
    return raw.decode("utf-8-sig")


def parse_json(text: str) -> Any:
    """Return what a JSON text says. Raises ValueError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise ValueError(f"it is not JSON (line {exc.lineno}, column {exc.colno})") from None


_PLAIN: Final = {"extra_forbidden": "is not a known field", "unexpected_keyword_argument": "is not a known setting"}


def first_mistake(error: ValidationError) -> str:
    """Return in one line what is wrong with a value, and where; records are counted from 1."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = [f"record {part + 1}" if isinstance(part, int) else part for part in first["loc"]]
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ").partition(", unable to")[0]
    between = ": " if first["type"] == "value_error" else " "
    return between.join(filter(None, [": ".join(place), _PLAIN.get(first["type"], said)]))


@dataclass(frozen=True)
class SandboxOptions:
    """How one sandbox behaves. The defaults suit trying things out by hand."""

    run_seconds: float = 1.5  # of the sandbox's clock
    api_keys: frozenset[str] = frozenset({"sandbox-key"})  # sent in X-Api-Key, or as a Bearer token
    faults: tuple[Fault, ...] = ()
    today: dt.date | None = None  # None: 2026-03-20 for the sample content, else the real date
    data: Path | None = None  # None: the sample content
    answers: Path | None = None
    seed: int | None = None  # None: the ids are random


DEFAULTS: Final = SandboxOptions()

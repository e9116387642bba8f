"""How one sandbox behaves: its options, the credentials it accepts, and its faults and scripted answers.

A fault is written such as "503 on=start times=2"; docs/sandbox.md describes faults and scripted answers.
"""

import datetime as dt
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass as validated_dataclass
from starlette.datastructures import Headers

_TOKENS_KEPT: Final = 1_000
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
MAX_ANSWERS: Final = 1_000

Endpoint = Literal["start", "status", "response", "token"]
"""The four endpoints, by the names that faults and records use."""

KINDS: Final[dict[str, str]] = {
    "redirect": "302 to another host; the request has no effect",
    "html": "200 with an HTML page, as from a proxy's login; the request has no effect",
    "html-error": "502 with an HTML page; the request has no effect",
    "empty": "the request takes effect, the answer is 200 with an empty body",
    "malformed": "the request takes effect, the answer is 200 with broken JSON",
    "missing-field": "the request takes effect, the answer is 200 with {}",
    "unknown-status": "the status request answers `status_word`",
    "failed": "the run ends failed",
    "endless": "the run never ends",
    "slow": "the run takes `seconds` longer; on other endpoints than start the answer comes that much later",
    "delay": "the request takes effect at once, the answer comes `seconds` later, also on start",
    "drop-before": "the connection closes within the answer, before its body; the request has no effect",
    "drop-after": "the request takes effect, then the connection closes within the answer, before its body",
}
"""What each kind does. The numbers 400 to 599 are kinds too: that status, and the request has no effect."""

_ONLY_ON: Final[dict[str, Endpoint]] = {"failed": "start", "endless": "start", "unknown-status": "status"}
_NEEDS: Final = {"slow": "seconds", "delay": "seconds", "unknown-status": "status_word"}
_PIECE: Final = re.compile(r'(?:[^,"]|"[^"]*")+')


@validated_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fault:
    """One thing that goes wrong, where, and how often. Raises ValueError for settings that do not fit the kind."""

    kind: str
    """An HTTP status from 400 to 599 as text, or one of `KINDS`."""
    on: Endpoint | Literal["any"] = "any"
    """The endpoint it happens on; "any" means every endpoint the kind can happen on."""
    times: int | None = Field(default=1, ge=1)
    """How many requests it happens to; None: every one."""
    after: int = Field(default=0, ge=0)
    """How many matching requests are let through before the first."""
    retry_after: str | None = None
    """The Retry-After header of a status fault: seconds, or an HTTP date."""
    status_word: str | None = None
    """What the status endpoint answers under "unknown-status"."""
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """How much longer "slow" and "delay" take."""

    @model_validator(mode="after")
    def _check(self) -> "Fault":
        """Refuse combinations that would have no effect."""
        numeric = re.fullmatch(r"[45]\d\d", self.kind)
        if not numeric and self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}: use a status from 400 to 599 or one of {', '.join(KINDS)}")
        if self.on not in ("any", _ONLY_ON.get(self.kind, self.on)):
            raise ValueError(f"{self.kind} can only happen on={_ONLY_ON[self.kind]}, not on={self.on}")
        for name in ("retry_after", "status_word", "seconds"):
            given = getattr(self, name) is not None
            if given != (name == _NEEDS.get(self.kind)) and not (numeric and name == "retry_after"):
                raise ValueError(f"{self.kind} {'takes no' if given else 'needs'} {name}")
        return self

    @property
    def status(self) -> int | None:
        """The HTTP status that this fault answers with, if it is a plain status."""
        return int(self.kind) if self.kind not in KINDS else None

    def happens_on(self, endpoint: Endpoint) -> bool:
        """Return whether this fault concerns requests to the endpoint."""
        return endpoint == _ONLY_ON.get(self.kind, endpoint) and self.on in ("any", endpoint)


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Read faults from their text form, separated by commas. Raises ValueError that names the mistake."""
    if text.count('"') % 2:
        raise ValueError(f"a double quote is not closed in {text!r}")
    return tuple(parse_fault(piece) for piece in _PIECE.findall(text) if piece.strip())


def parse_fault(text: str) -> Fault:
    """Read one fault from its text form, such as "503 on=start times=2 retry_after=3". Raises ValueError."""
    kind, *settings = shlex.split(text) or [""]
    values: dict[str, Any] = dict(setting.partition("=")[::2] for setting in settings)
    if len(values) < len(settings):
        raise ValueError(f"a setting is given twice in fault {text.strip()!r}")
    if values.get("times") == "forever":
        values["times"] = None
    try:
        return Fault(kind, **values)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        name = "".join(f"{part}: " for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{name}{message}, in fault {text.strip()!r}") from None


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
    def _check(self) -> "ScriptedAnswer":
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
    except (UnicodeDecodeError, RecursionError) as exc:
        raise AnswersError(f"{path}: it is not JSON in UTF-8, or nested too deeply") from exc
    except (OSError, ValueError) as exc:
        raise AnswersError(f"{path}: {exc}") from exc


def parse_answers(records: Any, place: str = "") -> tuple[ScriptedAnswer, ...]:
    """Read scripted answers. Raises AnswersError that names the first bad record."""
    try:
        return tuple(_LIST.validate_python(records))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        number, *names = first["loc"] or ("",)
        where = [f"{place}record {number + 1}" if isinstance(number, int) else place.rstrip(", ")]
        where += [".".join(map(str, names)), first["msg"].removeprefix("Value error, ")]
        raise AnswersError(": ".join(filter(None, where))) from exc


def _normal(prompt: str) -> str:
    return " ".join(prompt.split()).casefold()


@dataclass(frozen=True)
class SandboxOptions:
    """How one sandbox behaves. The defaults suit trying things out by hand."""

    run_seconds: float = 1.5
    """How long each run takes, in seconds of the sandbox's clock."""
    api_keys: frozenset[str] = frozenset({"sandbox-key"})
    """Accepted in the header X-Api-Key and, as personal access tokens are, as a Bearer token."""
    forbidden_keys: frozenset[str] = frozenset({"sandbox-forbidden"})
    """Known keys without the ReadAccess policy: they are answered 403."""
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"
    """The one OAuth2 client that may fetch tokens."""
    token_seconds: float = 3600
    """How long a fetched access token is valid."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong, in order."""
    requests_kept: int = 50_000
    """How many requests the record holds; beyond that the oldest is dropped."""
    reject_busy: bool = True
    """Whether a prompt on a thread with an active run is refused with 409. If not, both runs proceed."""
    today: dt.date | None = None
    """The date that "last week" counts from; None: 2026-03-20 for the sample content, else the real date."""
    data: Path | None = None
    """A folder or file with the content to answer about; None: the sample content."""
    answers: Path | None = None
    """A file of scripted answers, which are tried before the content."""
    seed: int | None = None
    """Makes the ids the same in each process; None: they are random."""


DEFAULTS: Final = SandboxOptions()


class Credentials:
    """The credentials that a sandbox accepts, and the access tokens that it has issued."""

    def __init__(self, options: SandboxOptions, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._options, self._clock, self._new_id = options, clock, new_id
        self._expiries: dict[str, float] = {}

    def status(self, headers: Headers) -> int:
        """Return 200, 401 or 403 for the credential in X-Api-Key or, where that is absent, in Authorization."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = headers.get("x-api-key", bearer if scheme.lower() == "bearer" else "")
        if key in self._options.api_keys or (
            "x-api-key" not in headers and self._expiries.get(key, 0.0) > self._clock()
        ):
            return 200
        return 403 if key in self._options.forbidden_keys else 401

    def issue(self, client_id: str, client_secret: str) -> str | None:
        """Return a new access token for the known client, None for any other."""
        if (client_id, client_secret) != (self._options.client_id, self._options.client_secret):
            return None
        while len(self._expiries) >= _TOKENS_KEPT:
            del self._expiries[next(iter(self._expiries))]
        token = f"sandbox-token-{self._new_id()}"
        self._expiries[token] = self._clock() + self._options.token_seconds
        return token

"""What can go wrong on purpose, and how to write it, such as "503 on=start times=2" (docs/sandbox.md)."""

import re
import shlex
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

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


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
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
        raise ValueError(f"{name}{first['msg']}, in fault {text.strip()!r}") from None

"""What can go wrong on purpose, how to write it, and which fault a request meets.

A fault is written as one kind and its settings; several faults are separated by commas::

    503 on=start times=2 retry_after=3, slow seconds=20, unknown-status status_word=paused times=forever

The request header `X-Sandbox-Fault` takes the same text for its own request; there `times` and `after` are refused.
Values with blanks or commas, such as a date for `retry_after`, are put in double quotes.
"""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

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

MAX_FAULTS: Final = 1_000
"""How many faults may be pending."""

_ONLY_ON: Final[dict[str, Endpoint]] = {"failed": "start", "endless": "start", "unknown-status": "status"}
_WITH_SECONDS: Final = frozenset({"slow", "delay"})
_PLACES: Final = (*get_args(Endpoint), "any")
_STATUS: Final = re.compile(r"[45]\d\d")
_PIECE: Final = re.compile(r'(?:[^,"]|"[^"]*")+')


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, where, and how often. Raises ValueError for settings that do not fit the kind."""

    kind: str
    """An HTTP status from 400 to 599 as text, or one of `KINDS`."""
    on: Endpoint | Literal["any"] = "any"
    """The endpoint it happens on; "any" means every endpoint the kind can happen on."""
    times: int | None = 1
    """How many requests it happens to; None: every one."""
    after: int = 0
    """How many matching requests are let through before the first."""
    retry_after: str | None = None
    """The Retry-After header of a status fault: seconds, or an HTTP date."""
    status_word: str | None = None
    """What the status endpoint answers under "unknown-status"."""
    seconds: float | None = None
    """How much longer "slow" and "delay" take."""

    def __post_init__(self) -> None:
        """Refuse combinations that would have no effect."""
        if not (_STATUS.fullmatch(self.kind) or self.kind in KINDS):
            msg = f"unknown fault {self.kind!r}: use a status from 400 to 599 or one of {', '.join(KINDS)}"
            raise ValueError(msg)
        if self.on not in _PLACES:
            msg = f"on={self.on} is not an endpoint: use one of {', '.join(_PLACES)}"
            raise ValueError(msg)
        if self.on not in {"any", _ONLY_ON.get(self.kind, self.on)}:
            msg = f"{self.kind} can only happen on={_ONLY_ON[self.kind]}, not on={self.on}"
            raise ValueError(msg)
        if (self.times is not None and self.times < 1) or self.after < 0:
            msg = f"times must be at least 1 and after at least 0, not times={self.times} after={self.after}"
            raise ValueError(msg)
        self._check("retry_after", given=self.retry_after is not None, allowed=self.status is not None)
        self._check("status_word", given=self.status_word is not None, needed=self.kind == "unknown-status")
        self._check("seconds", given=self.seconds is not None, needed=self.kind in _WITH_SECONDS)
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            msg = f"seconds must be a positive number, not {self.seconds}"
            raise ValueError(msg)

    @property
    def status(self) -> int | None:
        """The HTTP status this fault answers with, if it is a plain status."""
        return int(self.kind) if self.kind not in KINDS else None

    def happens_on(self, endpoint: Endpoint) -> bool:
        """Whether this fault concerns requests to the endpoint."""
        return endpoint == _ONLY_ON.get(self.kind, endpoint) and self.on in {"any", endpoint}

    def _check(self, name: str, *, given: bool, needed: bool = False, allowed: bool = False) -> None:
        if needed and not given:
            msg = f"{self.kind} needs {name}=…"
            raise ValueError(msg)
        if given and not (needed or allowed):
            msg = f"{self.kind} takes no {name}"
            raise ValueError(msg)


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Read faults from their text form, separated by commas. Raises ValueError naming what is wrong."""
    if text.count('"') % 2:
        msg = f"a double quote is not closed in {text!r}"
        raise ValueError(msg)
    return tuple(parse_fault(piece) for piece in _PIECE.findall(text) if piece.strip())


def parse_fault(text: str) -> Fault:
    """Read one fault from its text form, such as "503 on=start times=2 retry_after=3"."""
    kind, *settings = shlex.split(text) or [""]
    values: dict[str, object] = {}
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not sign or name not in _SETTINGS:
            names = ", ".join(_SETTINGS)
            msg = f"{setting!r} in fault {text.strip()!r}: settings are written name=value with {names}"
            raise ValueError(msg)
        if name in values:
            msg = f"{name} is set twice in fault {text.strip()!r}"
            raise ValueError(msg)
        values[name] = _value(name, value)
    return Fault(kind, **cast("dict[str, Any]", values))


_SETTINGS: Final = tuple(field.name for field in fields(Fault) if field.name != "kind")


def _value(name: str, text: str) -> object:
    try:
        match name:
            case "times":
                return None if text == "forever" else int(text)
            case "after":
                return int(text)
            case "seconds":
                return float(text)
            case _:
                return text
    except ValueError:
        msg = f"{name}={text} is not a number" + (" and not forever" if name == "times" else "")
        raise ValueError(msg) from None


@dataclass
class _Pending:
    fault: Fault
    skip: int
    left: int | None


@dataclass
class FaultPlan:
    """The pending faults. A request meets one fault at most: the first in order that is due."""

    _pending: list[_Pending] = field(default_factory=list)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> FaultPlan:
        """Return a plan of the faults, in their order."""
        plan = cls()
        for fault in faults:
            plan.add(fault)
        return plan

    @property
    def faults(self) -> list[Fault]:
        """The faults that are still to come."""
        return [pending.fault for pending in self._pending]

    def add(self, fault: Fault) -> None:
        """Append a fault. Raises ValueError at the limit of pending faults."""
        if len(self._pending) >= MAX_FAULTS:
            msg = f"{MAX_FAULTS:,} faults are pending; clear them before you add more"
            raise ValueError(msg)
        self._pending.append(_Pending(fault, skip=fault.after, left=fault.times))

    def clear(self) -> None:
        """Remove every pending fault."""
        self._pending.clear()

    def next_for(self, endpoint: Endpoint) -> Fault | None:
        """Return the fault that this request meets. Faults behind it do not count the request."""
        for pending in self._pending:
            if not pending.fault.happens_on(endpoint):
                continue
            if pending.skip:
                pending.skip -= 1
                continue
            if pending.left is not None:
                pending.left -= 1
                if not pending.left:
                    self._pending.remove(pending)
            return pending.fault
        return None


def fault_in_header(text: str, endpoint: Endpoint) -> Fault | None:
    """Return the fault that X-Sandbox-Fault orders for its request. Raises ValueError for bad text."""
    faults = parse_faults(text)
    if any(fault.times != 1 or fault.after for fault in faults):
        msg = "times and after have no meaning in a header, which concerns its own request only"
        raise ValueError(msg)
    return next((fault for fault in faults if fault.happens_on(endpoint)), None)

"""What can go wrong on purpose, how to write it, and which fault a request meets.

A fault is written as one kind and its settings; several faults are separated by commas::

    503 on=start times=2 retry_after=3, slow seconds=20, unknown-status status_word=paused times=forever

The request header `X-Sandbox-Fault` takes the same text for its own request; there `times` and `after` are refused.
Values with blanks or commas, such as a date for `retry_after`, are put in double quotes.
"""

import math
import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

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
_NEEDS: Final = {"slow": "seconds", "delay": "seconds", "unknown-status": "status_word"}
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
        numeric = re.fullmatch(r"[45]\d\d", self.kind)
        places = (*get_args(Endpoint), "any")
        if not numeric and self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}: use a status from 400 to 599 or one of {', '.join(KINDS)}")
        if self.on not in places:
            raise ValueError(f"on={self.on} is not an endpoint: use one of {', '.join(places)}")
        if self.on not in ("any", _ONLY_ON.get(self.kind, self.on)):
            raise ValueError(f"{self.kind} can only happen on={_ONLY_ON[self.kind]}, not on={self.on}")
        if (self.times is not None and self.times < 1) or self.after < 0:
            raise ValueError(f"times must be at least 1 and after at least 0, not {self.times} and {self.after}")
        needed = _NEEDS.get(self.kind)
        for name in ("retry_after", "status_word", "seconds"):
            given = getattr(self, name) is not None
            if given != (name == needed) and not (numeric and name == "retry_after"):
                raise ValueError(f"{self.kind} {'takes no' if given else 'needs'} {name}")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds must be a positive number, not {self.seconds}")

    @property
    def status(self) -> int | None:
        """The HTTP status that this fault answers with, if it is a plain status."""
        return int(self.kind) if self.kind not in KINDS else None

    def happens_on(self, endpoint: Endpoint) -> bool:
        """Return whether this fault concerns requests to the endpoint."""
        return endpoint == _ONLY_ON.get(self.kind, endpoint) and self.on in ("any", endpoint)


_SETTINGS: Final[dict[str, Callable[[str], Any]]] = {
    "on": str, "times": lambda text: None if text == "forever" else int(text), "after": int,
    "retry_after": str, "status_word": str, "seconds": float,
}  # fmt: skip


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Read faults from their text form, separated by commas. Raises ValueError that names the mistake."""
    if text.count('"') % 2:
        raise ValueError(f"a double quote is not closed in {text!r}")
    return tuple(parse_fault(piece) for piece in _PIECE.findall(text) if piece.strip())


def parse_fault(text: str) -> Fault:
    """Read one fault from its text form, such as "503 on=start times=2 retry_after=3"."""
    kind, *settings = shlex.split(text) or [""]
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in _SETTINGS or name in values:
            raise ValueError(
                f"{setting!r} in fault {text.strip()!r}: write each of {', '.join(_SETTINGS)} once, as name=value"
            )
        try:
            values[name] = _SETTINGS[name](value)
        except ValueError:
            raise ValueError(f"{name}={value} is not a number{' or forever' if name == 'times' else ''}") from None
    return Fault(kind, **values)


class FaultPlan:
    """The pending faults. A request meets one fault at most: the first in order that is due."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._pending: list[tuple[Fault, int]] = []
        for fault in faults:
            self.add(fault)

    @property
    def faults(self) -> list[Fault]:
        """The faults that are still to come."""
        return [fault for fault, _ in self._pending]

    def add(self, fault: Fault) -> None:
        """Append a fault. Raises ValueError at the limit of pending faults."""
        if len(self._pending) >= MAX_FAULTS:
            raise ValueError(f"{MAX_FAULTS:,} faults are pending; clear them before you add more")
        self._pending.append((fault, 0))

    def clear(self) -> None:
        """Remove every pending fault."""
        self._pending.clear()

    def next_for(self, endpoint: Endpoint) -> Fault | None:
        """Return the fault that this request meets. Faults behind it do not count the request."""
        for at, (fault, seen) in enumerate(self._pending):
            if fault.happens_on(endpoint):
                self._pending[at] = (fault, seen + 1)
                if seen >= fault.after:
                    if fault.times is not None and seen + 1 >= fault.after + fault.times:
                        del self._pending[at]
                    return fault
        return None


def fault_in_header(text: str, endpoint: Endpoint) -> Fault | None:
    """Return the fault that X-Sandbox-Fault orders for its request. Raises ValueError for bad text."""
    faults = parse_faults(text)
    if any(fault.times != 1 or fault.after for fault in faults):
        raise ValueError("times and after have no meaning in a header, which concerns its own request only")
    return next((fault for fault in faults if fault.happens_on(endpoint)), None)

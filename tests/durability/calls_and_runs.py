"""What callers did and what Contit accepted: the two kinds of things that a history is made of."""

from contextvars import ContextVar
from dataclasses import dataclass, field

from contit_mcp.assistant.reports import RunReport

SENDING_SECONDS = 20.0
"""Seconds after which the sender of a start without an answer gives up."""


@dataclass(eq=False)
class Call:
    """One call of one caller."""

    number: int
    kind: str
    owner: str
    process: str
    began: float
    prompt: str | None = None
    thread_id: str | None = None
    run_id: str | None = None
    alive: bool = True  # until its process is killed
    left: bool = False  # its caller went away
    ended: float | None = None
    starts: list["Run"] = field(default_factory=list)
    must_warn: bool = False  # it repeats a question that was cut off in the named window
    unknown: bool = False  # it ended with a start of unknown fate
    report: RunReport | None = None
    error: BaseException | None = None

    @property
    def got(self) -> RunReport:
        """What it returned."""
        assert self.report is not None, self.error
        return self.report

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of {self.owner} in {self.process}"


CALL: ContextVar[Call] = ContextVar("call")
"""The call that a request to Contit or to the store is made for."""


@dataclass(eq=False)
class Run:
    """One start that Contit accepted."""

    call: Call
    prompt: str
    asked_thread: str | None
    thread_id: str
    run_id: str
    sent: float
    accepted: float
    ends: float
    word: str
    stored_at: float | None = None
    awaited: bool = False
    delivered: bool = False
    delivering: Call | None = None

    def __str__(self) -> str:
        return f"{self.thread_id}/{self.run_id} ({self.call}, {self.accepted:.2f} to {self.ends:.2f})"

    __repr__ = __str__

    @property
    def stored(self) -> bool:
        return self.stored_at is not None

    @property
    def answer(self) -> str:
        return f"{self.run_id} answers {self.prompt!r}"

    @property
    def question(self) -> tuple[str, str | None, str]:
        return self.call.owner, self.asked_thread, self.prompt

    def going(self, now: float) -> bool:
        return now < self.ends

    def cut_off(self, now: float) -> bool:
        """The known window: the sender died, or gave up, before the ids were stored."""
        return not self.stored and (not self.call.alive or now - self.sent >= SENDING_SECONDS)

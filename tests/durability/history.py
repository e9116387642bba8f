"""What happened, and whether it may happen: each start that Contit accepted, and each report that a caller got.

No answer is swapped, no ids are lost, and no question runs twice, except:

1. A process dies, or gives up, between sending a start and storing its ids. A retry starts the question again and says
   so.
2. A process dies between storing that an answer was delivered and sending it. The question is started again.
3. While the store is down, and until a run that changed meanwhile is used again, processes do not know each other's
   runs: a question may run twice, and an answer may be that of another run on its thread (`strict` is false then). One
   process alone keeps all promises for as long as it lives.
4. A run whose end no process sees is given up after the limit by the process that started it, and later by another.
"""

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field

import anyio

from contit_mcp import errors
from contit_mcp.assistant.reports import RunReport
from contit_mcp.runs.record import Phase
from contit_mcp.runs.store import RetentionPolicy

RUN_SECONDS = 1_800.0  # after which a run is given up
SENDING_SECONDS = 20.0  # after which the sender of a start without an answer gives up
HIT_WINDOW = "a start was cut off in the window of exception 1, and its question asked again"
WARNED = "a retry said that it may run twice"


@dataclass(eq=False)
class Call:
    """One call of one caller."""

    number: int
    kind: str
    owner: str
    process: int  # its number
    began: float
    prompt: str | None = None
    thread_id: str | None = None
    run_id: str | None = None
    alive: bool = True  # until its process is killed
    ended: float | None = None
    starts: list["Run"] = field(default_factory=list)
    must_warn: bool = False  # it repeats a question whose start was cut off
    start_unknown: bool = False  # it ended without knowing whether its start arrived
    report: RunReport | None = None
    error: BaseException | None = None

    @property
    def got(self) -> RunReport:
        """What it returned."""
        assert self.report is not None, self.error
        return self.report

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of {self.owner} at {self.began:.2f} in process {self.process}"


CALL: ContextVar[Call] = ContextVar("call")  # for which a request is made to Contit or to the store


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
    word: str  # Contit's, with which it ends
    stored_at: float | None = None
    awaited: bool = False  # a caller waits for its answer, or left without it
    delivered: bool = False  # a caller has got its answer
    delivering: Call | None = None  # the first call for which the store was told that its answer is delivered

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
        """Whether its sender died, or gave up, before the ids were stored (exception 1)."""
        return not self.stored and (not self.call.alive or now - self.sent >= SENDING_SECONDS)


@dataclass
class History:
    """Judges each event when it is noted. `now` is the time of the event loop."""

    retention: RetentionPolicy
    strict: bool = True  # whether all promises hold; false for exception 3
    runs: list[Run] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    seen_ids: dict[tuple[str, str], str] = field(default_factory=dict)  # that callers got: owners, by the two ids
    wrongs: list[str] = field(default_factory=list)  # what must never happen
    counts: Counter[str] = field(default_factory=Counter)  # how often something happened that may happen

    def run(self, thread_id: str | None, run_id: str | None) -> Run | None:
        return next((run for run in self.runs if (run.thread_id, run.run_id) == (thread_id, run_id)), None)

    def accepted(self, new: Run, now: float) -> None:
        """Note a start that Contit accepted, and check that it was right to send it."""
        before = [run for run in self.runs if run.call.owner == new.call.owner and self._meets(run, new)]
        before.sort(key=lambda run: run.sent)
        self.runs.append(new)
        new.call.starts.append(new)
        new.awaited = new.call.kind == "ask"
        if new.asked_thread and (clash := [r for r in self.runs if r.thread_id == new.thread_id and r is not new]):
            self._check(clash[0].call.owner == new.call.owner, f"{new} is on another owner's thread")
        if new.cut_off(now) or not self.strict:
            return  # it was on its way when its process died; or its process could not know of other runs
        for run in before:
            self._check(run.cut_off(now) or not run.going(now), f"{new} was started while {run} was going")
        known = [run for run in before if run.stored]
        if known and known[-1].prompt == new.prompt and self._is_owed(known[-1], now):
            # The note that an answer was delivered is taken back when its caller has left; a dead process cannot do so.
            to = known[-1].delivering
            taken_back = to is not None and to.alive and to.ended is not None and to.ended <= new.call.began
            self._check(to is not None and not taken_back, f"{known[-1]} was owed")
        last = before[-1] if before else None
        remembered = last is not None and now <= last.sent + self.retention.record and not self._may_have_moved_on(last)
        if last is not None and remembered and last.cut_off(now) and last.question == new.question:
            new.call.must_warn = True
            self.counts[HIT_WINDOW] += 1

    def _meets(self, run: Run, new: Run) -> bool:
        """Whether the store compares the two: on one thread, or as one question that begins a conversation."""
        if new.asked_thread is None:
            return run.question == new.question
        return run.thread_id == new.thread_id

    def _is_owed(self, run: Run, now: float) -> bool:
        """Whether a caller waited for its answer, none has got it, and it is still kept."""
        kept = run.word == "completed" and run.ends <= now <= run.ends + self.retention.answer
        return run.awaited and not run.delivered and kept and not self._may_have_moved_on(run)

    def _may_have_moved_on(self, run: Run) -> bool:
        """Whether another question may have run on the thread: its process died, or could not know."""
        return any(
            call.thread_id == run.thread_id and call.began > run.call.began and (call.start_unknown or not call.alive)
            for call in self.calls
            if call.prompt not in {None, run.prompt}
        )

    def stored(self, thread_id: str | None, run_id: str | None) -> None:
        if (run := self.run(thread_id, run_id)) and run.stored_at is None:
            run.stored_at = anyio.current_time()

    def delivering(self, thread_id: str | None, run_id: str | None) -> None:
        """Note that the store was told that the answer is delivered."""
        if (run := self.run(thread_id, run_id)) and run.delivering is None:
            run.delivering = CALL.get()

    def reported(self, call: Call, report: RunReport) -> None:
        now, call.report = anyio.current_time(), report
        if report.run_id is None:
            thread = [run for run in self.runs if run.thread_id == call.thread_id and run.call.owner == call.owner]
            is_its_own = report.response in {run.answer for run in thread}
            self._check(self._is_forgotten(call, now) and is_its_own, f"{call} got {report}")
            return
        run = self.run(report.thread_id, report.run_id)
        if run is None or run.call.owner != call.owner:
            self.wrongs.append(f"{call} was told of a run that is not its owner's: {report}")
            return
        self.seen_ids[run.thread_id, run.run_id] = call.owner
        self._check(call.run_id in {None, report.run_id}, f"{call} was told of another run: {report}")
        if call.prompt is not None:
            self._check(run.prompt == call.prompt, f"{call} got another question's run: {run}")
            self._check(call.thread_id in {None, run.thread_id}, f"{call} got a run elsewhere: {run}")
            deduplicated = run not in call.starts
            self._check(report.deduplicated is deduplicated, f"{call} says {report.deduplicated=} of {run}")
            warns_if_it_must = report.maybe_twice or not call.must_warn or report.deduplicated
            self._check(warns_if_it_must, f"{call} does not warn: {report}")
            self.counts[WARNED] += report.maybe_twice
        if report.phase is Phase.COMPLETED:
            self._check(run.ends <= now and run.word == "completed", f"{call}: {run} is not completed")
        if report.response is not None:
            run.delivered = True
            self._check(report.response in self._answers(run, now), f"{call} got {report.response!r} of {run}")
        elif call.kind == "ask":
            run.awaited = True

    def _is_forgotten(self, call: Call, now: float) -> bool:
        """Whether the call asked for a thread's latest answer, and no run on that thread is remembered."""
        kept = [(run, run.stored_at) for run in self.runs if run.thread_id == call.thread_id and run.stored_at]
        old = [now > run.accepted + self.retention.record or since > call.began for run, since in kept]
        forgotten = not self.strict or all(old)
        return call.kind == "response" and call.run_id is None and forgotten

    def _answers(self, run: Run, now: float) -> set[str]:
        """Return its own answer, and those which the thread may have had by a run that no process knows."""
        unknown = [r for r in self.runs if r.thread_id == run.thread_id and not r.stored and r.ends >= run.ends]
        not_kept = now > run.ends + self.retention.answer
        overlapped = {r.answer for r in unknown if not_kept or r.accepted <= run.ends + SENDING_SECONDS}
        if not self.strict or now > run.accepted + self.retention.record:
            overlapped |= {r.answer for r in self.runs if r.thread_id == run.thread_id}
        return {run.answer} | overlapped

    def raised(self, call: Call, error: BaseException) -> None:
        now, call.error = anyio.current_time(), error
        run = self.run(error.thread_id, error.run_id) if isinstance(error, errors.RunError) else None
        match error:
            case _ if run is not None and run.call.owner != call.owner:
                fair = False
            case errors.RunFailedError():
                fair = run is not None and run.word == "failed" and not run.going(now)
            case errors.RunTimeoutError():
                fair = run is not None and now > run.accepted + RUN_SECONDS
            case errors.AnswerUnavailableError():
                fair = run is not None and (now > run.ends + self.retention.answer or not self.strict)
            case errors.RunNotFoundError():
                fair = self._is_forgotten(call, now) and not any(
                    r.word == "completed" and r.ends <= call.began for r in self.runs if r.thread_id == call.thread_id
                )
            case errors.ThreadBusyError():
                fair = call.prompt is not None and call.thread_id is not None
            case errors.StartUnknownError():
                call.start_unknown = True
                fair = call.prompt is not None
            case errors.APITimeoutError():
                fair = call.prompt is not None and not error.may_have_arrived
            case errors.APIStatusError():
                fair = call.prompt is not None and error.status_code in {429, 503}
            case _:
                fair = False
        self._check(fair, f"{call} got {error!r} {error}")
        self.counts[type(error).__name__] += 1

    def _check(self, fact: bool, wrong: str) -> None:
        if not fact:
            self.wrongs.append(f"{wrong} (at {anyio.current_time():.2f})")

"""Judges what happened: each question has one run, with its own answer, for its own caller."""

import itertools
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contit_mcp.runs.redis import RedisRunStore
from contit_mcp.sandbox.record import Run, SandboxRecord
from contit_mcp.server.tenancy import owner_of_name
from tests.children import SEAL_KEY
from tests.echo_contit import answer_to
from tests.replicas.fleet import Life, Replica
from tests.replicas.hosts import Attempt, Question

# How long after a run's end its answer may still be on the way: the pause between two polls, on a busy machine.
AT_DELIVERY_SECONDS = 2.5
OUTAGE_SECONDS = 15.0  # after the store went away: how long replicas may not know all of each other's runs


@dataclass
class Contit:
    """A sandbox as an ASGI application that notes who started each run, and when (the loop's clock)."""

    app: ASGIApp
    record: SandboxRecord
    senders: dict[str, str] = field(default_factory=dict)  # Contit's credentials, by run
    times: dict[str, float] = field(default_factory=dict)  # of the starts, by run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key, at = dict(scope["headers"])[b"x-api-key"].decode(), anyio.current_time()

        async def note(message: Message) -> None:
            if scope["method"] == "POST" and b"runId" in message.get("body", b""):
                run_id = json.loads(message["body"])["runId"]
                self.senders[run_id], self.times[run_id] = key, at
            await send(message)

        await self.app(scope, receive, note)

    def started(self, prompt: str) -> list[Run]:
        return sorted((run for run in self.record.runs if run.prompt == prompt), key=lambda run: self.times[run.run_id])


@dataclass
class Evidence:
    """Is gathered while things happen, and judged at the end.

    Attributes:
        stored: The runs whose ids were in the store when the process that started them was dead.
        outages: When the store went away.
    """

    contit: Contit
    replicas: list[Replica]
    store_url: str
    base_url: str
    stored: set[str] = field(default_factory=set)
    outages: list[float] = field(default_factory=list)

    async def note_stored_runs(self, life: Life) -> None:
        """Note which runs of a process the store knows; to be called when the process was killed."""
        store = RedisRunStore(self.store_url)
        for run in self.contit.record.runs:
            if self.contit.senders.get(run.run_id) == life.key and run.run_id not in life.started:
                owner = owner_of_name("token", "", run.prompt.split()[0], self.base_url, key=SEAL_KEY.encode())
                if await store.find(owner, run.thread_id, run.run_id) is not None:
                    self.stored.add(run.run_id)
        await store.aclose()

    def wrongs(self, questions: list[Question]) -> list[str]:
        """Return everything that must not have happened."""
        found = [wrong for question in questions for wrong in (*self._doubles_of(question), *self._swaps_of(question))]
        asked = {question.prompt for question in questions}
        found += [f"nobody asked for {run}" for run in self.contit.record.runs if run.prompt not in asked]
        return found + self.logged_errors()

    def logged_errors(self) -> list[str]:
        return [str(line) for life in self.lives for line in life.server.lines if line["level"] == "error"]

    @property
    def lives(self) -> list[Life]:
        return [life for replica in self.replicas for life in replica.lives]

    def _was_cut_off(self, run: Run) -> bool:
        """Whether its process was killed between sending its start and storing its ids: that may happen."""
        life = next(life for life in self.lives if life.key == self.contit.senders[run.run_id])
        return life.killed is not None and run.run_id not in life.started | self.stored

    def _in_outage(self, before: Run, after: Run) -> bool:
        """Whether the store was away between the runs, or so shortly before that only one process knew the first."""
        first, second = (self.contit.times[run.run_id] for run in (before, after))
        return any(first <= end + OUTAGE_SECONDS and begin <= second for begin, end in self._outages())

    def _outages(self) -> Iterator[tuple[float, float]]:
        """Yield when the store was away, or too slow for a process, which then keeps its runs in its memory."""
        offset = time.time() - time.monotonic()
        yield from zip(self.outages, self.outages, strict=True)
        for life in self.lives:
            began, ended = (
                [datetime.fromisoformat(line["timestamp"]).timestamp() - offset for line in life.server.named(name)]
                for name in ("store.unusable", "store.back")
            )
            yield from itertools.zip_longest(began, ended, fillvalue=life.killed or math.inf)

    def _was_killed_at_delivery(self, before: Run, after: Run, question: Question) -> bool:
        """Whether a process was killed so soon after a delivery was due that it may have stored it but not made it.

        An ask delivers at the run's end, and `contit_start` delivers the ids at the run's start.
        """
        until = self.contit.times[after.run_id]
        deliveries = [before.ends]
        if question.attempts[0].tool == "contit_start":
            deliveries.append(self.contit.times[before.run_id])
        kills = [life.killed for life in self.lives if life.killed and life.killed < until]
        return any(0.0 <= kill - at <= AT_DELIVERY_SECONDS for kill in kills for at in deliveries)

    def _doubles_of(self, question: Question) -> Iterator[str]:
        """Yield what is wrong with each run after the first: it must have a reason, and its caller a warning."""
        for before, after in itertools.pairwise(self.contit.started(question.prompt)):
            was_out_of_reach, at = self._in_outage(before, after), self.contit.times[after.run_id]
            if self._was_cut_off(before):
                if not was_out_of_reach and not any(_may_have_started(attempt, at) for attempt in question.attempts):
                    yield f"{question.prompt} does not warn: {before}, {after}\n  {_told(question)}"
            elif not was_out_of_reach and not self._was_killed_at_delivery(before, after, question):
                yield f"{question.prompt} was started twice: {before}, {after}\n  {_told(question)}"

    def _swaps_of(self, question: Question) -> Iterator[str]:
        """Yield what is wrong with its answer, which must be its own."""
        prompt = question.prompt
        if question.run is None:
            yield f"{prompt} was not answered: {_told(question)}"
            return
        run = next((run for run in self.contit.started(prompt) if (run.thread_id, run.run_id) == question.run), None)
        if run is None:
            yield f"{prompt} was given another question's run: {question.run}"
        elif question.answer != answer_to(prompt):
            yield f"{prompt} got {question.answer!r} of {run}"
        elif question.thread_id not in {None, run.thread_id}:
            yield f"{prompt} was asked on {question.thread_id}: {run}"


def _may_have_started(attempt: Attempt, at: float) -> bool:
    """Whether the attempt may have started the run of that time, and warned or broke off before it could warn."""
    under_way = attempt.began <= at <= attempt.ended
    return under_way and (attempt.warned or attempt.outcome.startswith(("lost", "left", "http")))


def _told(question: Question) -> str:
    lines = [f"{a.tool} {a.began:.2f}-{a.ended:.2f} {a.outcome} {a.warned}" for a in question.attempts]
    return "\n  ".join(lines)

"""What happened, and what must never have: one run a question, its own answer, its own caller. No tolerance."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from contit_mcp.owners import name_owner
from contit_mcp.runs.redis import RedisRunStore
from tests.replicas.contit import RecordingContit, Run
from tests.replicas.fleet import Life, Replica
from tests.replicas.hosts import Attempt, Question


@dataclass
class Evidence:
    """Gathered while it happens, judged at the end.

    Attributes:
        contit: Every start.
        replicas: Every process.
        store_url: Where the ids of runs are kept.
        base_url: The replicas' Contit.
        stored: The runs whose ids were in the store when the process that started them was dead.
    """

    contit: RecordingContit
    replicas: list[Replica]
    store_url: str
    base_url: str
    stored: set[str] = field(default_factory=set)

    async def taken(self, life: Life) -> None:
        """To be called when a process was killed: which of its runs are known to the store?"""
        store = RedisRunStore(self.store_url)
        for run in list(self.contit.runs.values()):
            if run.sender == life.key and run.run_id not in life.started:
                owner = name_owner(run.prompt.split()[0], self.base_url)
                if await store.find(owner, run.thread_id, run.run_id, now=0.0) is not None:
                    self.stored.add(run.run_id)
        await store.aclose()

    def was_cut_off(self, run: Run) -> bool:
        """Whether its process was killed between sending its start and storing its ids: the one window."""
        life = next(life for replica in self.replicas for life in replica.lives if life.key == run.sender)
        return life.killed is not None and run.run_id not in life.started | self.stored

    def wrongs(self, questions: list[Question]) -> list[str]:
        """What must never have happened."""
        found = [wrong for question in questions for wrong in self._wrongs_of(question)]
        asked = {question.planned.prompt for question in questions}
        found += [f"nobody asked for {run}" for run in self.contit.runs.values() if run.prompt not in asked]
        return found

    def windows(self, questions: list[Question]) -> list[Run]:
        """The runs that were hit by the window, and whose question was then asked again."""
        return [
            run
            for question in questions
            for run in self.contit.started(question.planned.prompt)
            if self.was_cut_off(run)
        ]

    def _wrongs_of(self, question: Question) -> Iterator[str]:
        prompt = question.planned.prompt
        runs = self.contit.started(prompt)
        for before, after in zip(runs, runs[1:], strict=False):
            if not self.was_cut_off(before):
                yield f"{prompt} was started twice: {before}, {after}\n  {_told(question)}"
            elif not any(_may_have_started(attempt, after) for attempt in question.attempts):
                yield f"{prompt} was not told that it may run twice: {before}, {after}\n  {_told(question)}"
        if question.answer is None or question.run is None:
            yield f"{prompt} was not answered: {_told(question)}"
            return
        run = self.contit.runs.get(question.run[1])
        if run is None or run.prompt != prompt or run.thread_id != question.run[0]:
            yield f"{prompt} was given another question's run: {run}"
        elif question.answer != run.answer:
            yield f"{prompt} got {question.answer!r} of {run}"
        elif question.thread_id not in {None, run.thread_id}:
            yield f"{prompt} was asked on {question.thread_id}: {run}"
        if question.planned.tried_by is not None and question.elsewhere != "No such thread or run.":
            yield f"{question.planned.tried_by} opened handles of {question.caller}: {question.elsewhere}"


def _may_have_started(attempt: Attempt, run: Run) -> bool:
    """Whether it started the run and said that it may be the second one; or could not say so, since it broke."""
    under_way = attempt.began <= run.accepted <= attempt.ended
    return under_way and (attempt.warned or attempt.outcome.startswith(("lost", "left", "http")))


def _told(question: Question) -> str:
    lines = [f"{a.tool} {a.began:.2f}-{a.ended:.2f} {a.outcome} {a.run_id} {a.warned}" for a in question.attempts]
    return "\n  ".join([*lines, str(question.planned)])


def summary(evidence: Evidence, questions: list[Question], seconds: float) -> dict[str, object]:
    """The figures of it."""
    outcomes = Counter(attempt.outcome for question in questions for attempt in question.attempts)
    lines = [line for replica in evidence.replicas for life in replica.lives for line in life.server.lines]
    noted = Counter(str(line["event"]) for line in lines if line["level"] != "info" or "store" in line["event"])
    return {
        "questions": len(questions),
        "noted": dict(noted),
        "calls": outcomes.total(),
        "outcomes": dict(outcomes.most_common()),
        "kills": sum(life.killed is not None for replica in evidence.replicas for life in replica.lives),
        "runs": len(evidence.contit.runs),
        "windows hit": len(evidence.windows(questions)),
        "requests to Contit": evidence.contit.requests,
        "seconds": round(seconds, 1),
    }

"""Hosts and their models: they ask, and then call what the results tell them, until each question has its answer."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from contit_mcp.server.tenancy import Kind, Sealer, owner_of_name
from tests.children import ERAS, SEAL_KEY, messages_in, request_of
from tests.replicas.fleet import CALLERS, TOKENS

CALL_SECONDS = 60.0  # after which a host gives up on a call, as many do

UNEXPECTED = ("error: No such thread or run", "error: Contit calls", "error: contit-mcp itself")
"""Outcomes that nothing in these tests can cause."""


@dataclass(slots=True)
class Attempt:
    """One call. Times are on the event loop's clock."""

    tool: str
    began: float
    ended: float = 0.0
    outcome: str = ""  # the result's status, its error, or how the call failed
    structure: Mapping[str, Any] = field(default_factory=dict)
    warned: bool = False  # whether it said that the question may have run twice

    @property
    def handles(self) -> dict[str, str]:
        return {name: self.structure[name] for name in ("thread_id", "run_id") if "run_id" in self.structure}


@dataclass(slots=True)
class Question:
    """One question of a conversation, and what became of it. No two have the same prompt."""

    caller: str
    prompt: str
    tool: str
    wait_seconds: float
    thread_id: str | None = None  # Contit's id of the thread that it was asked on
    attempts: list[Attempt] = field(default_factory=list)
    run: tuple[str | None, str | None] | None = None  # Contit's ids of the run whose answer it got
    answer: str | None = None


def conversations(questions: int, *, seed: int) -> Iterator[list[Question]]:
    """Yield conversations with this many questions in all; the seed decides who asks, what, and how long each waits."""
    chance = random.Random(seed)
    left = questions
    while left:
        name = chance.choice(CALLERS)
        length = min(left, chance.choice((1, 1, 2, 3, 5)))
        left -= length
        yield [
            Question(
                name,
                f"{name} asks {left}.{place}",
                tool=chance.choices(("contit_ask", "contit_start"), (85, 15))[0],
                wait_seconds=chance.choice((0.3, 2.0, 30.0, 30.0)),
            )
            for place in range(length)
        ]


class Hosts:
    """All callers, at one address, with pauses of random length."""

    def __init__(self, http: httpx.AsyncClient, url: str, base_url: str, *, seed: int) -> None:
        self.questions: list[Question] = []
        self.answered = 0
        self._http = http
        self._url = url
        self._base_url = base_url
        self._chance = random.Random(seed)
        self._sealer = Sealer([SEAL_KEY])

    async def converse(self, questions: list[Question]) -> None:
        """Ask all questions of a conversation, each on the thread of the one before."""
        era, thread = self._chance.choice(ERAS), dict[str, str]()
        for question in questions:
            self.questions.append(question)
            question.thread_id = self._opened(question, "thread", thread)
            handles = await self._ask(question, era, thread)
            self.answered += 1
            thread = {"thread_id": handles["thread_id"]}

    async def _ask(self, question: Question, era: str, thread: dict[str, str]) -> dict[str, str]:
        """Ask until the question has its answer; return the handles."""
        own: dict[str, str] = {}
        other: dict[str, str] = {}  # of a run that keeps the thread busy; after its end the question is asked again
        while True:
            reading = other or own
            tool = "contit_response" if reading else question.tool
            arguments: dict[str, Any] = dict(reading) if reading else {"prompt": question.prompt, **thread}
            if tool != "contit_start":
                arguments["wait_seconds"] = question.wait_seconds
            attempt = await self._call(question, era, tool, arguments)
            if other:
                other = {} if attempt.outcome in {"completed", "failed"} else other
            elif attempt.outcome.startswith("error"):
                assert not attempt.outcome.startswith(UNEXPECTED), question
                if attempt.outcome.startswith("error: This run's own answer"):  # its next step is to ask again
                    own = {}
                if attempt.structure.get("status") == "in_progress" and tool != "contit_response":
                    other = attempt.handles
                await self._pause()
            elif "response" in attempt.structure:
                question.answer, handles = attempt.structure["response"], attempt.handles
                question.run = self._opened(question, "thread", handles), self._opened(question, "run", handles)
                return handles
            else:
                own = attempt.handles or own
                await self._pause()

    def _opened(self, question: Question, kind: Kind, handles: Mapping[str, str]) -> str | None:
        """Return Contit's id that a handle contains; no caller can see it."""
        if f"{kind}_id" not in handles:
            return None
        owner = owner_of_name("token", "", question.caller, self._base_url, key=b"contit-mcp")
        found = self._sealer.open(kind, owner, handles[f"{kind}_id"])
        assert found is not None, f"{question.caller} was given a handle that is not {question.caller}'s"
        return found

    async def _call(self, question: Question, era: str, tool: str, arguments: Mapping[str, Any]) -> Attempt:
        """Make one call; return what happened, also if it failed."""
        attempt = Attempt(tool, anyio.current_time(), outcome="left")
        question.attempts.append(attempt)
        request = request_of(era, tool, arguments)
        request["headers"]["Authorization"] = f"Bearer {TOKENS[question.caller]}"
        with anyio.move_on_after(CALL_SECONDS):
            try:
                response = await self._http.post(self._url, **request)
                results = [m["result"] for m in messages_in(response) if "result" in m] if response.is_success else []
                attempt.outcome = f"http {response.status_code}"
                for result in results:
                    attempt.structure = result["structuredContent"]
                    error = attempt.structure.get("error")
                    attempt.outcome = f"error: {error}" if error else attempt.structure["status"]
                attempt.warned = "may have run it twice" in response.text
            except httpx.TransportError as error:
                attempt.outcome = f"lost ({type(error).__name__})"
        attempt.ended = anyio.current_time()
        return attempt

    async def _pause(self) -> None:
        await anyio.sleep(self._chance.uniform(0.05, 0.4))

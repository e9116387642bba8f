"""Hosts and their models: they ask, and go on as the results tell them, until each question has its answer."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import anyio
import httpx

from contit_mcp.server.tenancy import Kind, Sealer, owner_of_name
from tests.children import SEAL_KEY, caller, messages_in, request_of
from tests.replicas.fleet import CALLERS, TOKENS
from tests.replicas.plan import Conversation, Planned

Ids = dict[str, str]

CALL_SECONDS = 60.0
"""After which a host gives up on a call, as many do."""

HOPELESS = ("error: No such thread or run", "error: Contit calls", "error: contit-mcp itself")
"""What nothing here gives a reason for."""


@dataclass(slots=True)
class Attempt:
    """One call. Times are on the event loop's clock."""

    tool: str
    began: float
    ended: float = 0.0
    outcome: str = ""  # the result's status, or what came in its place
    run_id: str | None = None  # Contit's
    warned: bool = False  # whether it said that the question may have run twice


@dataclass(slots=True)
class Question:
    """What became of a planned question; ids are Contit's, but for `ids`, which are the handles of the answer."""

    planned: Planned
    caller: str
    thread_id: str | None = None  # where it was asked; None for one that began a conversation
    attempts: list[Attempt] = field(default_factory=list)
    answer: str | None = None
    ids: Ids = field(default_factory=dict)
    run: tuple[str, str] | None = None
    elsewhere: str | None = None  # what another caller got for these handles
    given_up: str | None = None  # the error after which asking on has no sense


@dataclass(slots=True)
class Reply:
    """What a call brought: a result, or what came in its place."""

    outcome: str
    structure: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    @property
    def ids(self) -> Ids | None:
        """The run's handles, where the result has them."""
        if "run_id" in self.structure:
            return {name: self.structure[name] for name in ("thread_id", "run_id")}
        return None


class Hosts:
    """All callers, through one address, with pauses of chance."""

    def __init__(self, url: str, base_url: str, *, seed: int) -> None:
        self.questions: list[Question] = []
        self.answered = 0
        self._url = url
        self._base_url = base_url
        self._chance = random.Random(seed)
        self._sealer = Sealer([SEAL_KEY])
        self._http: dict[str, httpx.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        self._http = {name: caller(TOKENS[name]) for name in CALLERS}
        return self

    async def __aexit__(self, *_: object) -> None:
        for http in self._http.values():
            await http.aclose()

    async def converse(self, conversation: Conversation) -> None:
        """Ask all questions of a conversation, each on the thread of the one before."""
        thread: Ids = {}
        for planned in conversation.questions:
            question = Question(planned, conversation.caller)
            self.questions.append(question)
            question.thread_id = self.opened(question.caller, "thread", thread.get("thread_id"))
            await self._ask(question, conversation.era, thread)
            self.answered += 1
            if question.given_up is not None:
                return
            thread = {"thread_id": question.ids["thread_id"]}
            if planned.tried_by is not None:
                question.elsewhere = await self.read(planned.tried_by, conversation.era, question.ids)

    async def read(self, name: str, era: str, ids: Ids) -> str:
        """What `contit_response` says to a caller: the answer or the error, as soon as there is one."""
        while True:
            reply = await self._call(name, era, "contit_response", {**ids, "wait_seconds": 10.0})
            if found := reply.structure.get("response") or reply.structure.get("error"):
                return str(found)
            await self._pause()

    def opened(self, name: str, kind: Kind, handle: str | None) -> str | None:
        """Contit's id in a handle, which no caller can see."""
        if handle is None:
            return None
        found = self._sealer.open(kind, owner_of_name("token", "", name, self._base_url, key=b"contit-mcp"), handle)
        assert found is not None, f"{name} was given a handle that is not {name}'s"
        return found

    async def _ask(self, question: Question, era: str, thread: Ids) -> None:
        planned = question.planned
        ids: Ids | None = None
        meanwhile: Ids | None = None
        leaves = planned.leaves_after
        while question.answer is None:
            reading = meanwhile or ids
            tool = planned.tool if reading is None else "contit_response"
            arguments: dict[str, Any] = {"prompt": planned.prompt, **thread} if reading is None else dict(reading)
            if tool != "contit_start":
                arguments["wait_seconds"] = planned.wait_seconds
            attempt = Attempt(tool, anyio.current_time())
            question.attempts.append(attempt)
            reply = await self._call(question.caller, era, tool, arguments, progress=planned.progress, leaves=leaves)
            leaves = None
            attempt.ended, attempt.outcome = anyio.current_time(), reply.outcome
            attempt.warned = "may have run it twice" in reply.text
            if reply.ids is not None:
                attempt.run_id = self.opened(question.caller, "run", reply.ids["run_id"])
            if meanwhile is not None:
                # Another run was in the way. Once it has ended, the question is asked again.
                meanwhile = None if reply.outcome in {"completed", "failed"} else meanwhile
            elif reply.outcome.startswith(HOPELESS):
                question.given_up = reply.outcome
                return
            elif reply.outcome.startswith("error"):
                ids = (
                    None if reply.outcome.startswith("error: This run's own answer") else ids
                )  # then ask again, it says
                busy = reply.structure.get("status") == "in_progress" and tool != "contit_response"
                meanwhile = reply.ids if busy else None
                await self._pause()
            elif "response" in reply.structure:
                question.answer, question.ids = str(reply.structure["response"]), reply.ids or {}
                opened = [self.opened(question.caller, kind, question.ids[f"{kind}_id"]) for kind in ("thread", "run")]
                question.run = (str(opened[0]), str(opened[1]))
            else:
                ids = reply.ids or ids
                if reply.outcome not in {"completed", "in_progress"}:
                    await self._pause()

    async def _call(
        self,
        name: str,
        era: str,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        progress: bool = False,
        leaves: float | None = None,
    ) -> Reply:
        """One call; whatever happens to it is told, not raised."""
        meta = {"progressToken": "p"} if progress else None
        received = b""
        status, kind = 0, ""
        outcome = "left"
        with anyio.move_on_after(CALL_SECONDS if leaves is None else leaves):
            try:
                request = request_of(era, tool, arguments, meta=meta)
                async with self._http[name].stream("POST", self._url, **request) as response:
                    status, kind = response.status_code, response.headers.get("content-type", "")
                    async for chunk in response.aiter_raw():
                        received += chunk
                outcome = f"http {status}"
            except httpx.TransportError as error:
                outcome = f"lost ({type(error).__name__})"
        return _reply(outcome, status, kind, received)

    async def _pause(self) -> None:
        await anyio.sleep(self._chance.uniform(0.05, 0.4))


def _reply(outcome: str, status: int, kind: str, received: bytes) -> Reply:
    if status != 200:
        return Reply(outcome, text=received.decode())
    whole = outcome == "http 200"
    if kind.startswith("application/json") and not whole:
        return Reply(outcome)
    response = httpx.Response(200, headers={"content-type": kind}, content=received if whole else _whole(received))
    for message in messages_in(response):
        if (result := message.get("result")) is not None:
            structure = result["structuredContent"]
            error = structure.get("error")
            return Reply(f"error: {error}" if error else structure["status"], structure, response.text)
    return Reply(outcome if not whole else "no result")


def _whole(received: bytes) -> bytes:
    """The events of a stream that broke, without the one that is not whole."""
    return received[: received.replace(b"\r\n", b"\n\n").rfind(b"\n\n") + 2]

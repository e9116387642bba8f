"""A Contit that notes each start that it accepts in the history, and is slow or refuses as a test tells it to."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import anyio
import httpx

from tests.durability.history import CALL, Call, History, Run

NOT_STARTED = {"503": httpx.Response(503), "429": httpx.Response(429, headers={"Retry-After": "8"})}


@dataclass
class RecordingContit:
    """See the module. Its response endpoint returns the thread's latest answer, so a swapped answer is seen."""

    history: History
    chance: random.Random
    arrives: float = 0.05  # seconds until a start is accepted, even if its sender dies or gives up meanwhile
    replies: float = 0.05  # seconds from then until its sender has the ids
    reads: float = 0.05  # seconds at most, for the way of a status or a response there, and for the way back
    lasts: float = 3.0  # seconds of each further run
    word: str = "completed"  # with which each further run ends
    refusals: list[str] = field(default_factory=list)  # how the next starts are refused, by `NOT_STARTED`
    accepts_on_busy: bool = True  # a start on a busy thread makes a second run instead of being refused
    polls: Counter[int] = field(default_factory=Counter)  # by the number of the call that they are made for

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return await self._start(CALL.get(), **json.loads(await request.aread()))
        _, _, _, thread_id, *rest = request.url.path.split("/")
        is_poll = rest[0] == "run"
        self.polls[CALL.get().number] += is_poll
        await anyio.sleep(self.reads * self.chance.random())
        response = self._status(thread_id, rest[1]) if is_poll else self._response(thread_id)
        await anyio.sleep(self.reads * self.chance.random())
        return response

    async def _start(self, call: Call, threadId: str | None, prompt: str) -> httpx.Response:  # noqa: N803
        responses: list[httpx.Response] = []
        accept = partial(self._accept, call, threadId, prompt, anyio.current_time(), self.lasts, self.word)
        asyncio.get_running_loop().call_later(self.arrives, lambda: responses.append(accept()))
        await anyio.sleep(self.arrives + self.replies)
        return responses[0]

    def _accept(
        self, call: Call, thread_id: str | None, prompt: str, sent: float, lasts: float, word: str
    ) -> httpx.Response:
        now = anyio.current_time()
        if self.refusals:
            return NOT_STARTED[self.refusals.pop(0)]
        busy = any(run.thread_id == thread_id and run.going(now) for run in self.history.runs)
        if busy and not self.accepts_on_busy:
            return httpx.Response(409)
        number = len(self.history.runs) + 1
        ids = {"threadId": thread_id or f"thread_{number}", "runId": f"run_{number}"}
        run = Run(call, prompt, thread_id, ids["threadId"], ids["runId"], sent, now, now + lasts, word)
        self.history.accepted(run, now)
        return httpx.Response(200, json=ids)

    def _status(self, thread_id: str, run_id: str) -> httpx.Response:
        run = self.history.run(thread_id, run_id)
        if run is None:
            return httpx.Response(404)
        return httpx.Response(200, json={"status": "in_progress" if run.going(anyio.current_time()) else run.word})

    def _response(self, thread_id: str) -> httpx.Response:
        now = anyio.current_time()
        runs = [run for run in self.history.runs if run.thread_id == thread_id and run.word == "completed"]
        ended = [run for run in runs if not run.going(now)]
        if not ended:
            return httpx.Response(404)
        return httpx.Response(200, json={"response": max(ended, key=lambda run: run.ends).answer})

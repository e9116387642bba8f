"""A Contit that tells the history of every start it accepts, and is slow, refuses and fails as it is told to."""

import asyncio
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field

import anyio
import httpx

from tests.durability.history import CALL, Call, History, Run

NOT_STARTED = {"503": httpx.Response(503), "429": httpx.Response(429, headers={"Retry-After": "8"})}


@dataclass
class RecordingContit:
    """See the module. The response endpoint gives the thread's latest answer, so that answers can be swapped. Seconds."""

    history: History
    arrives: float = 0.05  # until a start is accepted, even if its sender dies or gives up meanwhile
    replies: float = 0.05  # from there until its sender has the ids
    reads: float = 0.05  # at most, for a status or a response on its way there, and back
    lasts: float = 3.0
    word: str = "completed"
    refusals: list[str] = field(default_factory=list)  # how the next starts are refused, by `NOT_STARTED`
    accepts_on_busy: bool = True  # a start on a busy thread makes a second run instead of being refused
    requests: Counter[tuple[int, str]] = field(default_factory=Counter)  # by the number of the call, and endpoint
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.requests[CALL.get().number, "start"] += 1
            return await self._start(CALL.get(), **json.loads(await request.aread()))
        _, _, _, thread_id, *rest = request.url.path.split("/")
        self.requests[CALL.get().number, rest[-1]] += 1
        await anyio.sleep(self.reads * self.chance.random())
        response = self._status(thread_id, rest[1]) if rest[0] == "run" else self._response(thread_id)
        await anyio.sleep(self.reads * self.chance.random())
        return response

    async def _start(self, call: Call, threadId: str | None, prompt: str) -> httpx.Response:  # noqa: N803
        sent, loop, ends = anyio.current_time(), asyncio.get_running_loop(), (self.lasts, self.word)
        reply: asyncio.Future[httpx.Response] = loop.create_future()

        def arrive() -> None:
            response = self._accept(call, threadId, prompt, sent, *ends)
            if not reply.done():
                reply.set_result(response)

        replies = self.replies
        loop.call_later(self.arrives, arrive)
        response = await reply
        await anyio.sleep(replies)
        return response

    def _accept(
        self, call: Call, thread_id: str | None, prompt: str, sent: float, lasts: float, word: str
    ) -> httpx.Response:
        now = anyio.current_time()
        if self.refusals:
            return NOT_STARTED[self.refusals.pop(0)]
        busy = any(run.thread_id == thread_id and run.going(now) for run in self.history.runs)
        if busy and not self.accepts_on_busy:
            return httpx.Response(409)
        number = next(self._numbers)
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

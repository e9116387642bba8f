"""A Contit on a port that remembers every start: who sent it, when it was accepted, and what its run answers."""

import json
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import uvicorn

from contit_mcp.http.serve import Listener
from tests.children import free_port

ARRIVES_SECONDS = 0.02
"""Until a start is accepted, at the most; it is also when its sender died meanwhile."""
REPLIES_SECONDS = 0.08
"""From there until the ids are sent, at the most: what dies in between is in the window that nobody can close."""

_STATUS = re.compile("/ai-assistant/thread/([^/]+)/run/([^/]+)/status")
_RESPONSE = re.compile("/ai-assistant/thread/([^/]+)/response")


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Times are on the event loop's clock.

    Attributes:
        sender: The credential of the process that started it.
        prompt: Its question.
        thread_id: Its thread.
        run_id: Its id.
        accepted: When it began.
        ends: When it ends.
    """

    sender: str
    prompt: str
    thread_id: str
    run_id: str
    accepted: float
    ends: float

    @property
    def answer(self) -> str:
        """Names its run and its question, so that a swapped one shows."""
        return f"{self.run_id} answers {self.prompt!r}"


@dataclass
class RecordingContit:
    """An ASGI application with Contit's three endpoints; the response endpoint takes no run id, as documented.

    Attributes:
        run_seconds: How long runs last, at least and at the most.
        seed: Of all chances.
        runs: All of them, by id.
        refused: How many starts were refused, their thread being busy.
        requests: How many there were.
    """

    run_seconds: tuple[float, float] = (0.1, 1.2)
    seed: int = 0
    runs: dict[str, Run] = field(default_factory=dict)
    refused: int = 0
    requests: int = 0
    _chance: random.Random = field(init=False)
    _threads: defaultdict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        self.requests += 1
        if scope["method"] == "POST":
            body = b""
            while (message := await receive())["type"] == "http.request":
                body += message["body"]
                if not message["more_body"]:
                    break
            sender = dict(scope["headers"])[b"x-api-key"].decode()
            status, answer = await self._start(sender, **json.loads(body))
        else:
            status, answer = self._read(scope["path"])
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def started(self, prompt: str) -> list[Run]:
        """The runs of one question, in the order of their beginning."""
        return [run for run in self.runs.values() if run.prompt == prompt]

    async def _start(self, sender: str, threadId: str | None, prompt: str) -> tuple[int, dict[str, str]]:  # noqa: N803
        await anyio.sleep(ARRIVES_SECONDS * self._chance.random())
        now = anyio.current_time()
        number = len(self.runs) + 1
        thread_id = threadId or f"thread_{number}"
        if any(now < run.ends for run in self._threads[thread_id]):
            self.refused += 1
            return 409, {"title": "The thread already has an active run."}
        run = Run(sender, prompt, thread_id, f"run_{number}", now, now + self._chance.uniform(*self.run_seconds))
        self.runs[run.run_id] = run
        self._threads[thread_id].append(run)
        await anyio.sleep(REPLIES_SECONDS * self._chance.random())
        return 200, {"threadId": run.thread_id, "runId": run.run_id}

    def _read(self, path: str) -> tuple[int, dict[str, str]]:
        now = anyio.current_time()
        if found := _STATUS.fullmatch(path):
            run = self.runs.get(found[2])
            if run is not None and run.thread_id == found[1]:
                return 200, {"status": "in_progress" if now < run.ends else "completed"}
        elif found := _RESPONSE.fullmatch(path):
            ended = [run for run in self._threads.get(found[1], ()) if run.ends <= now]
            if ended:
                return 200, {"response": max(ended, key=lambda run: run.ends).answer}
        return 404, {"title": "Unknown."}


@asynccontextmanager
async def contit_on_port(contit: RecordingContit) -> AsyncIterator[str]:
    """It, on loopback; gives its base URL."""
    port = free_port()
    config = uvicorn.Config(contit, port=port, log_config=None, access_log=False, lifespan="off", ws="none")
    server = Listener(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = server.force_exit = True

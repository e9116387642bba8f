"""A Contit in memory, as the transport of an httpx client, on the clock of the event loop.

It has Contit's three documented endpoints. Each answer repeats its question, so that a swapped answer shows. A test can
replace the replies to some requests, or to all.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

import anyio
import httpx


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, `after` so many seconds. A body that is neither bytes nor text is sent as JSON."""

    status: int = 200
    body: object = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0

    def response(self) -> httpx.Response:
        content = self.body if isinstance(self.body, bytes | str) else json.dumps(self.body)
        return httpx.Response(self.status, headers=self.headers, content=content)


# A response, an error to raise, or a function that makes a response for the request.
Script = Reply | httpx.Response | Exception | Callable[[httpx.Request], Reply | httpx.Response]


@dataclass
class EchoRun:
    thread_id: str
    run_id: str
    prompt: str
    ends: float
    end_word: str = "completed"

    def word(self, now: float) -> str:
        return "in_progress" if now < self.ends else self.end_word


@dataclass
class EchoContit(httpx.AsyncBaseTransport):
    seconds: float = 3.0  # that a run takes
    durations: dict[str, float] = field(default_factory=dict)  # by prompt: the seconds of its runs, where they differ
    end_words: dict[str, str] = field(default_factory=dict)  # by prompt: the status at the end, if not `completed`
    latency: float = 0.0  # seconds that each request takes
    # By endpoint: the replies that its next requests get instead.
    replies: defaultdict[str, list[Script]] = field(default_factory=lambda: defaultdict(list))
    script: list[Script] = field(default_factory=list)  # the replies to all requests instead; the last one repeats
    requests: list[tuple[str, float]] = field(default_factory=list)  # the endpoint and time of each
    received: list[httpx.Request] = field(default_factory=list)
    abandoned: int = 0  # requests that were cancelled before their answer
    runs: list[EchoRun] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)  # prompts that were refused because their thread had a run
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def count(self, endpoint: str) -> int:
        return sum(1 for name, _ in self.requests if name == endpoint)

    def started(self, prompt: str) -> int:
        return sum(1 for run in self.runs if run.prompt == prompt)

    def instead(self, endpoint: str, *replies: Script) -> None:
        self.replies[endpoint].extend(replies)

    @property
    def times(self) -> list[float]:
        return [at for _, at in self.requests]

    @property
    def pauses(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.times)]

    @property
    def hosts(self) -> set[str]:
        return {request.url.host for request in self.received}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().split("?")[0]
        endpoint = "start" if request.method == "POST" else path.rsplit("/", 1)[1]
        body = await request.aread()
        self.requests.append((endpoint, anyio.current_time()))
        # A copy: httpx changes the headers of a request that it sends again.
        self.received.append(httpx.Request(request.method, request.url, headers=request.headers, content=body))
        try:
            await anyio.sleep(self.latency)
            if self.script:
                return await _reply(self.script[min(len(self.received), len(self.script)) - 1], request)
            if self.replies[endpoint]:
                return await _reply(self.replies[endpoint].pop(0), request)
        except anyio.get_cancelled_exc_class():
            self.abandoned += 1
            raise
        if endpoint == "start":
            return self.start(**json.loads(body))
        segments = [unquote(segment) for segment in path.split("/")]
        now, runs = anyio.current_time(), [run for run in self.runs if run.thread_id == segments[3]]
        if endpoint == "status":
            words = [run.word(now) for run in runs if run.run_id == segments[5]]
            return httpx.Response(200, json={"status": words[0]}) if words else httpx.Response(404)
        done = sorted((run for run in runs if run.word(now) == "completed"), key=lambda run: run.ends)
        return httpx.Response(200, json={"response": answer_to(done[-1].prompt)}) if done else httpx.Response(404)

    def start(self, threadId: str | None, prompt: str) -> httpx.Response:  # noqa: N803 - Contit's names
        now = anyio.current_time()
        thread_id = threadId or f"thread_{next(self._ids)}"
        if any(run.thread_id == thread_id and run.word(now) == "in_progress" for run in self.runs):
            self.overlaps.append(prompt)
            return httpx.Response(409)
        ends = now + self.durations.get(prompt, self.seconds)
        run = EchoRun(thread_id, f"run_{next(self._ids)}", prompt, ends, self.end_words.get(prompt, "completed"))
        self.runs.append(run)
        return httpx.Response(200, json={"threadId": thread_id, "runId": run.run_id})


async def _reply(script: Script, request: httpx.Request) -> httpx.Response:
    if isinstance(script, Exception):
        raise script
    reply = script if isinstance(script, Reply | httpx.Response) else script(request)
    if isinstance(reply, httpx.Response):
        return reply
    await anyio.sleep(reply.after)
    return reply.response()


def answer_to(prompt: str) -> str:
    return f"Answer to: {prompt}"

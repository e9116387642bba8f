"""A Contit in memory, on the loop's clock: the one transport that tests put under the HTTP client.

Its answers repeat their question, so that a swapped answer shows. It has Contit's documented shape: three endpoints, ids,
statuses, and a response per *thread* without a run id, which makes swapping possible. For single odd replies it follows a
script instead.
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
    """One answer, `after` so many seconds; a body that is neither bytes nor text is sent as JSON."""

    status: int = 200
    body: object = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0

    def response(self) -> httpx.Response:
        """Return a new response of httpx."""
        content = self.body if isinstance(self.body, bytes | str) else json.dumps(self.body)
        return httpx.Response(self.status, headers=self.headers, content=content)


Script = Reply | httpx.Response | Exception | Callable[[httpx.Request], Reply | httpx.Response]
"""An answer, an error to raise, or what makes an answer of the request."""


@dataclass
class EchoRun:
    """One run upstream."""

    thread_id: str
    run_id: str
    prompt: str
    started: float
    ends: float
    end_word: str = "completed"

    def word(self, now: float) -> str:
        return "in_progress" if now < self.ends else self.end_word


@dataclass
class EchoContit(httpx.AsyncBaseTransport):
    """See the module."""

    seconds: float = 3.0
    """How long runs take; `durations` says otherwise for single prompts."""
    latency: float = 0.0
    """Seconds that each request takes."""
    durations: dict[str, float] = field(default_factory=dict)
    end_words: dict[str, str] = field(default_factory=dict)
    """The word with which a prompt's run ends, where it is not `completed`."""
    replies: defaultdict[str, list[Script]] = field(default_factory=lambda: defaultdict(list))
    """By endpoint ("start", "status", "response"), what to answer instead, first come first served."""
    script: list[Script] = field(default_factory=list)
    """What to answer to all requests in turn, whatever they ask for; the last one again and again."""
    requests: list[tuple[str, float]] = field(default_factory=list)
    """Endpoint and time of every request."""
    received: list[httpx.Request] = field(default_factory=list)
    abandoned: int = 0
    """Requests whose sender left before the answer."""
    runs: list[EchoRun] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    """Prompts that were started while a run was going on their thread."""
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
        """Return the seconds between each request and the one before."""
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
        if endpoint == "status":
            return self._status(segments[3], segments[5])
        return self._response(segments[3])

    def start(self, threadId: str | None, prompt: str) -> httpx.Response:  # noqa: N803 - Contit's names
        """Start a run, as `POST /ai-assistant/thread` does."""
        now = anyio.current_time()
        thread_id = threadId or f"thread_{next(self._ids)}"
        if any(run.thread_id == thread_id and run.word(now) == "in_progress" for run in self.runs):
            self.overlaps.append(prompt)
            return httpx.Response(409)
        ends = now + self.durations.get(prompt, self.seconds)
        run = EchoRun(thread_id, f"run_{next(self._ids)}", prompt, now, ends, self.end_words.get(prompt, "completed"))
        self.runs.append(run)
        return httpx.Response(200, json={"threadId": thread_id, "runId": run.run_id})

    def _status(self, thread_id: str, run_id: str) -> httpx.Response:
        for run in self.runs:
            if (run.thread_id, run.run_id) == (thread_id, run_id):
                return httpx.Response(200, json={"status": run.word(anyio.current_time())})
        return httpx.Response(404)

    def _response(self, thread_id: str) -> httpx.Response:
        now = anyio.current_time()
        done = [run for run in self.runs if run.thread_id == thread_id and run.word(now) == "completed"]
        if not done:
            return httpx.Response(404)
        return httpx.Response(200, json={"response": answer_to(max(done, key=lambda run: run.ends).prompt)})


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

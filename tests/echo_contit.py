"""A Contit whose answers repeat their question, so that a swapped answer shows. In memory, on the loop's clock.

It keeps Contit's documented shape: three endpoints, ids, statuses, and the response per *thread* without a
run id, which is what makes swapping possible at all.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

import anyio
import httpx

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


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
        """Its status now."""
        return "in_progress" if now < self.ends else self.end_word


@dataclass
class EchoContit(httpx.AsyncBaseTransport):
    """See the module.

    Attributes:
        seconds: How long runs take; `durations` says otherwise for single prompts.
        end_words: The word with which a prompt's run ends, where it is not `completed`.
        latency: Seconds that each request takes.
        replies: By endpoint ("start", "status", "response"), what to answer instead, first come first served.
        requests: Endpoint and time of every request.
        overlaps: Prompts that were started while a run was going on their thread.
    """

    seconds: float = 3.0
    latency: float = 0.0
    durations: dict[str, float] = field(default_factory=dict)
    end_words: dict[str, str] = field(default_factory=dict)
    replies: defaultdict[str, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    requests: list[tuple[str, float]] = field(default_factory=list)
    runs: list[EchoRun] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def count(self, endpoint: str) -> int:
        """How many requests an endpoint got."""
        return sum(1 for name, _ in self.requests if name == endpoint)

    def started(self, prompt: str) -> int:
        """How many runs a prompt has started."""
        return sum(1 for run in self.runs if run.prompt == prompt)

    def instead(self, endpoint: str, *replies: Reply) -> None:
        """Answer the next requests of an endpoint like this."""
        self.replies[endpoint].extend(replies)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        path = request.url.raw_path.decode().split("?")[0]
        endpoint = "start" if request.method == "POST" else path.rsplit("/", 1)[1]
        self.requests.append((endpoint, anyio.current_time()))
        await anyio.sleep(self.latency)
        body = await request.aread()
        if self.replies[endpoint]:
            reply = self.replies[endpoint].pop(0)
            if isinstance(reply, Exception):
                raise reply
            return reply if isinstance(reply, httpx.Response) else reply(request)
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


def answer_to(prompt: str) -> str:
    """The answer that a prompt gets."""
    return f"Answer to: {prompt}"

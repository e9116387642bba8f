"""A scripted Contit for one odd reply: it answers in turn, and remembers what it was sent and when."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import httpx

from contit_mcp.contit.auth import Credential
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import GracePolicy, RetryPolicy
from contit_mcp.contit.transport import build_http_client
from contit_mcp.contit.wire import StartedRun

BASE_URL = "https://contit.test"
STARTED = {"threadId": "thread-1", "runId": "run-1"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; a new httpx response is made of it each time.

    Attributes:
        status: The HTTP status.
        body: Its content; anything but bytes and text is sent as JSON.
        headers: Further headers.
        after: Seconds until it comes.
    """

    status: int = 200
    body: object = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0

    def response(self) -> httpx.Response:
        """Return it as a response of httpx."""
        if isinstance(self.body, bytes):
            content = self.body
        elif isinstance(self.body, str):
            content = self.body.encode()
        else:
            content = json.dumps(self.body).encode()
        return httpx.Response(self.status, headers=self.headers, content=content)


Script = Reply | Exception | Callable[[httpx.Request], Reply]
HANGS = Reply(after=1_000_000.0)
START_OK = Reply(body=STARTED)


class Upstream(httpx.AsyncBaseTransport):
    """Answers each request with the next of its replies, and the last one again and again."""

    def __init__(self, *replies: Script) -> None:
        self.replies = list(replies)
        self.received: list[httpx.Request] = []
        self.times: list[float] = []
        self.abandoned = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, raise or hang, as the script says."""
        await request.aread()
        # A copy: httpx changes the headers of a request that it sends again.
        self.received.append(
            httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        )
        self.times.append(anyio.current_time())
        script = self.replies[min(len(self.received), len(self.replies)) - 1]
        if isinstance(script, Exception):
            raise script
        reply = script if isinstance(script, Reply) else script(request)
        try:
            await anyio.sleep(reply.after)
        except anyio.get_cancelled_exc_class():
            self.abandoned += 1
            raise
        return reply.response()

    @property
    def hosts(self) -> set[str]:
        """Every host that was sent a request."""
        return {request.url.host for request in self.received}

    @property
    def pauses(self) -> list[float]:
        """Seconds between each request and the one before."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


def contit_client(
    upstream: httpx.AsyncBaseTransport,
    *,
    auth: Credential | None = None,
    base_url: str = BASE_URL,
    retry: RetryPolicy | None = None,
    grace: GracePolicy | None = None,
    start_seconds: float = 20.0,
    read_seconds: float = 20.0,
) -> ContitClient:
    """Build the client as production does, with `upstream` in place of the network."""
    http = build_http_client(base_url, transport=upstream)
    return ContitClient(
        http, auth=auth, retry=retry, grace=grace, start_seconds=start_seconds, read_seconds=read_seconds
    )


class Kept:
    """A `keep` that remembers what it was given, and can take its time."""

    def __init__(self, *, after: float = 0.0) -> None:
        self.runs: list[StartedRun] = []
        self._after = after

    async def __call__(self, started: StartedRun) -> None:
        """Keep the ids."""
        await anyio.sleep(self._after)
        self.runs.append(started)


async def start(
    client: ContitClient,
    *,
    keep: Callable[[StartedRun], Awaitable[None]] | None = None,
    within: float = 60.0,
    thread_id: str | None = None,
) -> StartedRun:
    """Start a run whose deadline is `within` seconds away."""
    return await client.start_run(
        "What is new?", thread_id, keep=keep or Kept(), deadline=anyio.current_time() + within
    )

"""The client on a Contit that follows a script, and what its tests have in common."""

from collections.abc import Awaitable, Callable

import anyio
import httpx

from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import GracePolicy, RetryPolicy
from contit_mcp.contit.transport import build_http_client
from contit_mcp.contit.wire import StartedRun
from tests.echo_contit import EchoContit, Reply, Script

BASE_URL = "https://contit.test"
STARTED = {"threadId": "thread-1", "runId": "run-1"}
HANGS = Reply(after=1_000_000.0)
START_OK = Reply(body=STARTED)


def scripted(*script: Script) -> EchoContit:
    """Return a Contit that gives these answers in turn, and the last one again and again."""
    return EchoContit(script=list(script))


def contit_client(
    upstream: httpx.AsyncBaseTransport,
    *,
    auth: httpx.Auth | None = None,
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

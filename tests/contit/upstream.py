"""`ContitClient` on a Contit that follows a script, for the tests of the client."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import httpx

from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import ClientCredentialsAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import build_http_client
from contit_mcp.contit.wire import StartedRun
from tests.echo_contit import EchoContit, Reply, Script

BASE_URL = "https://contit.test"
TOKEN_URL = "https://idp.contit.test/connect/token"
STARTED = {"threadId": "thread-1", "runId": "run-1"}
HANGS = Reply(after=1_000_000.0)
START_OK = Reply(body=STARTED)
RUNNING = Reply(body={"status": "in_progress"})
ONCE = RetryPolicy(attempts=1)


def scripted(*script: Script) -> EchoContit:
    return EchoContit(script=list(script))


def contit_client(
    upstream: EchoContit, *, auth: httpx.Auth | None = None, base_url: str = BASE_URL, retry: RetryPolicy | None = None
) -> ContitClient:
    """Build the client as production does, with `upstream` in place of the network."""
    return ContitClient(build_http_client(base_url, transport=upstream), auth=auth, retry=retry or RetryPolicy())


def token_auth(tokens: EchoContit, secret: str = "client-secret") -> ClientCredentialsAuth:
    """Return the OAuth2 credential, with `tokens` as its endpoint."""
    value = SecretValue("CONTIT_CLIENT_SECRET", value=secret)
    http = build_http_client("", transport=tokens)
    return ClientCredentialsAuth("my-client", value, token_url=TOKEN_URL, http=http)


@dataclass
class Kept:
    """The callback of `start_run` that stores the ids of a run: it takes `after` seconds and keeps them in a list."""

    after: float = 0.0
    runs: list[StartedRun] = field(default_factory=list)

    async def __call__(self, started: StartedRun) -> None:
        await anyio.sleep(self.after)
        self.runs.append(started)


async def start(
    client: ContitClient,
    *,
    keep: Callable[[StartedRun], Awaitable[None]] | None = None,
    within: float = 60.0,
    thread_id: str | None = None,
) -> StartedRun:
    deadline = anyio.current_time() + within
    return await client.start_run("What is new?", thread_id, keep=keep or Kept(), deadline=deadline)


Call = Callable[[ContitClient], Awaitable[object]]
READS: dict[str, Call] = {
    "status": lambda client: client.run_status("t", "r"),
    "response": lambda client: client.thread_response("t"),
}

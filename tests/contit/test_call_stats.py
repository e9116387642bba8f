"""Requests are counted when they end, by endpoint and status with their seconds: for the call and the process."""

from contextlib import suppress

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import ClientCredentialsAuth
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import build_http_client
from contit_mcp.telemetry.call_stats import Event, Listener, current_call_stats, start_call_stats
from tests.contit.upstream import HANGS, START_OK, STARTED, contit_client, scripted, start
from tests.echo_contit import EchoContit, Reply, Script

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(attempts=1)


class Counted(Listener):
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, float]] = []
        self.events: list[Event] = []

    def on_request(self, endpoint: str, status: str, seconds: float) -> None:
        """Remember a request."""
        self.requests.append((endpoint, status, round(seconds, 3)))

    def on_event(self, event: Event) -> None:
        """Remember an event."""
        self.events.append(event)


@pytest.fixture
def counted() -> Counted:
    """A listener of the server."""
    return Counted()


async def test_every_endpoint_is_counted_with_its_status_and_seconds(counted: Counted) -> None:
    start_call_stats(counted)
    client = contit_client(scripted(Reply(body={**STARTED, "status": "completed", "response": "a"}, after=1.5)))
    await start(client)
    await client.run_status("t", "r")
    await client.thread_response("t")
    assert counted.requests == [("start", "200", 1.5), ("status", "200", 1.5), ("response", "200", 1.5)]


FAILURES: dict[str, tuple[Script, str]] = {
    "401": (Reply(401), "401"),
    "429": (Reply(429), "429"),
    "503": (Reply(503), "503"),
    "HTML": (Reply(200, "<h1>Hello</h1>"), "200"),
    "a redirect": (Reply(302), "302"),
    "refused": (httpx.ConnectError("x"), "none"),
    "broken": (httpx.ReadError("x"), "none"),
    "too slow": (httpx.ReadTimeout("x"), "none"),
    "badly compressed": (httpx.DecodingError("x"), "none"),
    "no free connection": (httpx.PoolTimeout("x"), "pool"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_is_counted_once_under_what_it_was(name: str, counted: Counted) -> None:
    script, status = FAILURES[name]
    stats = start_call_stats(counted)
    with suppress(errors.APIError):
        await contit_client(scripted(script), retry=ONCE).run_status("t", "r")
    assert counted.requests == [("status", status, 0.0)]
    assert dict(stats.statuses) == {status: 1}
    assert stats.requests == (status != "pool")


async def test_a_request_whose_caller_leaves_is_counted_as_cancelled(counted: Counted) -> None:
    start_call_stats(counted)
    client = contit_client(scripted(HANGS))
    with anyio.move_on_after(7):
        await client.run_status("t", "r")
    assert counted.requests == [("status", "cancelled", 7.0)]


async def test_retries_are_counted_as_they_happen(counted: Counted) -> None:
    start_call_stats(counted)
    await start(contit_client(scripted(Reply(503), httpx.ConnectError("x"), START_OK)))
    assert counted.events == ["retry", "retry"]
    assert [status for _, status, _ in counted.requests] == ["503", "none", "200"]


async def test_tokens_are_an_endpoint_of_their_own_and_a_401_counts_as_a_request(counted: Counted) -> None:
    tokens: EchoContit = scripted(Reply(body={"access_token": "token"}, after=2.0))
    secret = SecretValue("CONTIT_CLIENT_SECRET", value="secret")
    http = build_http_client("", transport=tokens)
    auth = ClientCredentialsAuth("client", secret, token_url="https://idp.test/token", http=http)
    stats = start_call_stats(counted)
    client = contit_client(scripted(Reply(401, after=1.0), Reply(body={"status": "completed"}, after=1.0)), auth=auth)
    await client.run_status("t", "r")
    assert counted.requests == [
        ("token", "200", 2.0),
        ("status", "401", 1.0),
        ("token", "200", 2.0),
        ("status", "200", 1.0),
    ]
    assert stats.requests == 4


async def test_calls_count_apart_and_the_process_counts_all(counted: Counted) -> None:
    client = contit_client(scripted(Reply(body={"status": "in_progress"}, after=1.0)))
    seen: list[int] = []

    async def call(polls: int) -> None:
        stats = start_call_stats(counted)
        for _ in range(polls):
            current_call_stats().count("poll")
            await client.run_status("t", "r")
        seen.append(stats.requests)
        assert stats.events["poll"] == polls

    async with anyio.create_task_group() as tasks:
        for polls in (1, 2, 3):
            tasks.start_soon(call, polls)
    assert seen == [1, 2, 3]
    assert len(counted.requests) == 6
    assert counted.events == ["poll"] * 6


async def test_two_servers_in_one_process_count_apart() -> None:
    servers = [Counted(), Counted()]

    async def serve(server: Counted, calls: int) -> None:
        for _ in range(calls):
            start_call_stats(server)
            await anyio.sleep(1)
            current_call_stats().count("join")
            current_call_stats().count_request("start", "200", 1.0)

    async with anyio.create_task_group() as tasks:
        for calls, server in enumerate(servers, start=1):
            tasks.start_soon(serve, server, calls)
    current_call_stats().count("join")
    assert [len(server.events) for server in servers] == [1, 2]
    assert [len(server.requests) for server in servers] == [1, 2]


async def test_a_start_that_is_not_sent_because_of_a_pause_is_counted(counted: Counted) -> None:
    start_call_stats(counted)
    client = contit_client(scripted(Reply(429, headers={"Retry-After": "600"})), retry=ONCE)
    for _ in range(3):
        with suppress(errors.RateLimitError):
            await start(client)
    assert counted.events == ["held"] * 2
    assert len(counted.requests) == 1

"""Requests are counted when they end, by endpoint and status with their seconds: for the call and the process."""

from contextlib import suppress

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.telemetry.call_stats import Event, Listener, current_call_stats, start_call_stats
from tests.contit.upstream import (
    HANGS,
    ONCE,
    RUNNING,
    START_OK,
    STARTED,
    client_credentials,
    contit_client,
    scripted,
    start,
)
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio


class Counted(Listener):
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, float]] = []
        self.events: list[Event] = []

    def on_request(self, endpoint: str, status: str, seconds: float) -> None:
        self.requests.append((endpoint, status, round(seconds, 3)))

    def on_event(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def counted() -> Counted:
    return Counted()


async def test_every_endpoint_is_counted_with_its_status_and_seconds(counted: Counted) -> None:
    start_call_stats(counted)
    client = contit_client(scripted(Reply(body={**STARTED, "status": "completed", "response": "a"}, after=1.5)))
    await start(client)
    await client.run_status("t", "r")
    await client.thread_response("t")
    assert counted.requests == [("start", "200", 1.5), ("status", "200", 1.5), ("response", "200", 1.5)]


async def test_a_request_whose_caller_leaves_is_counted_as_cancelled(counted: Counted) -> None:
    start_call_stats(counted)
    with anyio.move_on_after(7):
        await contit_client(scripted(HANGS)).run_status("t", "r")
    assert counted.requests == [("status", "cancelled", 7.0)]


async def test_retries_are_counted_as_they_happen(counted: Counted) -> None:
    start_call_stats(counted)
    await start(contit_client(scripted(Reply(503), httpx.ConnectError("x"), START_OK)))
    assert counted.events == ["retry", "retry"]
    assert [status for _, status, _ in counted.requests] == ["503", "none", "200"]


async def test_tokens_are_an_endpoint_of_their_own_and_a_401_counts_as_a_request(counted: Counted) -> None:
    auth = client_credentials(scripted(Reply(body={"access_token": "token"}, after=2.0)))
    stats = start_call_stats(counted)
    client = contit_client(scripted(Reply(401, after=1.0), Reply(body={"status": "completed"}, after=1.0)), auth=auth)
    await client.run_status("t", "r")
    statuses = [("token", "200", 2.0), ("status", "401", 1.0), ("token", "200", 2.0), ("status", "200", 1.0)]
    assert counted.requests == statuses
    assert stats.requests == 4


async def test_calls_and_servers_count_apart() -> None:
    servers = [Counted(), Counted()]
    client = contit_client(scripted(RUNNING))

    async def call(server: Counted, polls: int) -> None:
        stats = start_call_stats(server)
        for _ in range(polls):
            await anyio.sleep(1)
            current_call_stats().count("poll")
            await client.run_status("t", "r")
        assert (stats.events["poll"], stats.requests) == (polls, polls)

    async with anyio.create_task_group() as tasks:
        for server, polls in ((servers[0], 1), (servers[0], 2), (servers[1], 4)):
            tasks.start_soon(call, server, polls)
    current_call_stats().count("poll")  # outside of a call
    assert [len(server.events) for server in servers] == [3, 4]
    assert [len(server.requests) for server in servers] == [3, 4]


async def test_a_start_that_is_not_sent_because_of_a_pause_is_counted(counted: Counted) -> None:
    start_call_stats(counted)
    client = contit_client(scripted(Reply(429, headers={"Retry-After": "600"})), retry=ONCE)
    for _ in range(3):
        with suppress(errors.RateLimitError):
            await start(client)
    assert counted.events == ["held"] * 2
    assert len(counted.requests) == 1

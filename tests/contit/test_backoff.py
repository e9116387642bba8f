"""Polls and starts slow down together while Contit refuses or fails, and recover. Virtual time."""

from contextlib import suppress

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from tests.contit.upstream import ONCE, RUNNING, START_OK, client_credentials, contit_client, scripted, start
from tests.echo_contit import EchoContit, Reply, Script

pytestmark = pytest.mark.anyio

FAULTS: dict[str, Script] = {
    "429": Reply(429),
    "500": Reply(500),
    "502": Reply(502, "<h1>Bad gateway</h1>"),
    "503": Reply(503),
    "529": Reply(529),
    "refused": httpx.ConnectError("x"),
    "no answer in time": httpx.ReadTimeout("x"),
    "closed": httpx.RemoteProtocolError("x"),
    "proxy": httpx.ProxyError("x"),
}
NO_FAULTS: dict[str, Script] = {
    "an answer": RUNNING,
    **{str(status): Reply(status) for status in (302, 400, 401, 403, 404, 409, 422)},
    "HTML": Reply(200, "<h1>Hello</h1>"),
    "no connection of our own": httpx.PoolTimeout("x"),
}


async def poll(client: ContitClient, seconds: float, *, every: float = 1.0) -> list[float]:
    """Poll for so long as the assistant does, and return when each poll was sent."""
    until, polls = anyio.current_time() + seconds, list[float]()
    while anyio.current_time() < until:
        polls.append(anyio.current_time())
        with suppress(errors.APIError):
            await client.run_status("t", "r", deadline=anyio.current_time())
        await client.backoff.pause(every)
    return polls


@pytest.mark.parametrize("name", FAULTS)
async def test_polls_slow_down_to_a_quarter_while_contit_fails_and_then_recover(name: str) -> None:
    upstream = scripted(FAULTS[name])
    client = contit_client(upstream)
    polls = await poll(client, 200)
    assert client.backoff.stretch == 4.0
    assert polls[-1] - polls[-2] == pytest.approx(4)
    upstream.script[:] = [RUNNING]
    polls = await poll(client, 100)
    assert client.backoff.stretch == 1.0
    assert polls[-1] - polls[-2] == pytest.approx(1)


async def test_an_outage_is_forgotten_when_nothing_was_asked_for_a_minute() -> None:
    client = contit_client(scripted(Reply(503)))
    await poll(client, 100)
    await anyio.sleep(60)
    assert client.backoff.stretch == 1.0


async def test_many_polls_that_are_refused_fall_to_a_quarter_of_their_rate() -> None:
    upstream = scripted(Reply(429))
    client = contit_client(upstream)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(poll, client, 80)
    assert sum(at < 1_010 for at in upstream.times) == 100
    assert sum(1_040 <= at < 1_080 for at in upstream.times) == 200


PASSING = {f"{name}, which passes": [RUNNING, fault] * 200 for name, fault in FAULTS.items() if name != "429"}
OTHERS = {name: [answer] for name, answer in NO_FAULTS.items()} | PASSING


@pytest.mark.parametrize("script", OTHERS.values(), ids=OTHERS)
async def test_other_answers_and_faults_that_pass_slow_nothing_down(script: list[Script]) -> None:
    client = contit_client(scripted(*script))
    await poll(client, 100)
    assert client.backoff.stretch == 1.0


async def failed_starts(client: ContitClient, upstream: EchoContit, *, thread_id: str | None, number: int) -> int:
    """Start so often, two seconds apart, and return how many requests that took."""
    before = len(upstream.received)
    for _ in range(number):
        with pytest.raises(errors.APIError):
            await start(client, within=30, thread_id=thread_id)
        await anyio.sleep(2)
    return len(upstream.received) - before


@pytest.mark.parametrize("name", ["429", "503", "refused"])
async def test_starts_do_not_multiply_in_an_outage(name: str) -> None:
    upstream = scripted(FAULTS[name])
    client = contit_client(upstream)
    assert await failed_starts(client, upstream, thread_id=None, number=1) == 4
    await failed_starts(client, upstream, thread_id=None, number=10)
    assert await failed_starts(client, upstream, thread_id=None, number=20) == 20


async def test_polls_and_starts_share_one_backoff() -> None:
    upstream = scripted(Reply(503))
    client = contit_client(upstream, retry=ONCE)
    await failed_starts(client, upstream, thread_id="t", number=20)
    polls = await poll(client, 9)
    assert polls[1] - polls[0] == pytest.approx(4.0)
    began = anyio.current_time()
    upstream.script[:] = [START_OK]
    await start(client)
    assert 0 < anyio.current_time() - began <= 0.75


@pytest.mark.parametrize(("thread_id", "stretch"), [("t", 1.0), (None, 4.0)])
async def test_a_500_to_a_start_on_a_thread_means_busy_and_without_a_thread_a_fault(
    thread_id: str | None, stretch: float
) -> None:
    upstream = scripted(Reply(500))
    client = contit_client(upstream)
    await failed_starts(client, upstream, thread_id=thread_id, number=20)
    assert client.backoff.stretch == stretch


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seconds", [46, 86_400])
async def test_a_start_waits_for_a_retry_after_or_is_refused_at_once_without_a_request(
    seconds: int, status: int
) -> None:
    """Another request was given it."""
    upstream = scripted(Reply(status, headers={"Retry-After": str(seconds)}), START_OK)
    client = contit_client(upstream, retry=ONCE)
    with pytest.raises(errors.APIError):
        await client.run_status("t", "r")
    began = anyio.current_time()
    with pytest.raises(errors.RateLimitError) as caught:
        await start(client, within=45)
    assert anyio.current_time() == began
    assert len(upstream.received) == 1
    assert caught.value.hint == f"Try again in {min(seconds, 3_600)} seconds."
    await start(client, within=4_000)
    assert min(seconds, 3_600) <= upstream.pauses[0] < min(seconds, 3_600) + 1


async def test_polls_wait_for_a_retry_after_together_and_go_on_spread_out() -> None:
    upstream = scripted(*[Reply(429, headers={"Retry-After": "30"})] * 10, RUNNING)
    client = contit_client(upstream)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(poll, client, 32)
    at = [round(time - upstream.times[0], 3) for time in upstream.times]
    assert at[:10] == [0.0] * 10
    assert min(at[10:]) >= 30
    assert len(set(at[10:20])) >= 9


async def test_a_failing_token_endpoint_is_no_fault_of_contit() -> None:
    auth = client_credentials(scripted(Reply(503, headers={"Retry-After": "600"})))
    client = contit_client(scripted(RUNNING), auth=auth, retry=ONCE)
    await poll(client, 100)
    assert client.backoff.stretch == 1.0

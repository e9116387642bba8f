"""Limits for one caller and for all together; no call that has ended stays counted as in flight."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import MCPError
from mcp.client import Client

from contit_mcp.http.rate import MOST_COUNTS, RequestRate
from contit_mcp.sandbox.options import Fault, SandboxOptions
from tests import children
from tests.children import ERAS, QUESTION, TOKEN_MODE, TOKENS, Served, ask, call, caller, deployment, message_of, runs
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]


LISTING = message_of("legacy", "tools/list", {})


async def statuses(http: httpx.AsyncClient, server: Served, *requests: dict[str, Any]) -> Counter[int]:
    return Counter([(await http.post(server.url, **request)).status_code for request in requests])


async def until_quiet(server: Served) -> None:
    while (await server.metrics())["contit_mcp_calls_in_flight"]:
        await anyio.sleep(0.05)


async def test_a_caller_over_its_requests_a_minute_is_told_when_to_go_on_and_others_go_on() -> None:
    """Retry-After lasts until this minute and a tenth of the next one are over."""
    async with deployment(None, **TOKEN_MODE, CONTIT_MCP_REQUESTS_PER_MINUTE="10") as (server, _):
        async with caller(TOKENS["anna"]) as anna, caller(TOKENS["marco"]) as marco:
            assert await statuses(anna, server, *[LISTING] * 12) == {200: 10, 429: 2}
            refused = await anna.post(server.url, **LISTING)
            assert 1 <= int(refused.headers["retry-after"]) <= 66
            error = refused.json()["error"]
            assert refused.json()["id"] == 1
            assert error["message"] == f"Too many requests; go on in {refused.headers['retry-after']} s."
            assert error["data"]["reason"] == "too_many_requests"
            assert await statuses(marco, server, *[LISTING] * 3) == {200: 3}
        assert (await server.metrics())["contit_mcp_rejected_requests_total{reason=too_many_requests}"] == 3


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_sdk_s_client_gets_the_reason_of_a_refusal(mode: Any) -> None:
    async def list_often(url: str) -> None:
        async with Client(url, mode=mode) as client:
            for _ in range(5):
                await client.list_tools(cache_mode="refresh")

    async with deployment(None, CONTIT_MCP_REQUESTS_PER_MINUTE="3") as (server, _):
        with pytest.raises((MCPError, ExceptionGroup)) as caught, anyio.fail_after(30):
            await list_often(server.url)
    assert "Too many requests; go on in" in f"{caught.getrepr()}"


async def test_replicas_count_together_in_redis_and_alone_while_it_is_down(own_redis: RedisServer) -> None:
    limits = {**TOKEN_MODE, "CONTIT_MCP_STORE": own_redis.url, "CONTIT_MCP_REQUESTS_PER_MINUTE": "120"}
    async with (
        deployment(None, **limits) as (one, _),
        children.deployed(one.environment) as other,
        caller(TOKENS["anna"]) as anna,
    ):
        found: Counter[int] = Counter()

        async def burst(times: int, *servers: Served) -> float:
            async def post(server: Served) -> None:
                found.update(await statuses(anna, server, LISTING))

            began = anyio.current_time()
            async with anyio.create_task_group() as tasks:
                for server in servers * times:
                    tasks.start_soon(post, server)
            return anyio.current_time() - began

        seconds = await burst(80, one, other)
        assert found.total() == 160
        assert 120 <= found[200] <= 125 + 2 * seconds  # the window slides on meanwhile, by two a second
        own_redis.stop()
        for server in (one, other):
            assert await burst(20, server) < 5
            assert [line["level"] for line in server.named("limits.local_only")] == ["warning"]
        assert found[200] >= 160, "no call is refused because Redis is down"
        own_redis.start()
        for server in (one, other):
            while not server.named("limits.shared"):
                await anyio.sleep(0.5)
                await anna.post(server.url, **LISTING)
            assert [len(server.named(f"limits.{state}")) for state in ("local_only", "shared")] == [1, 1]
            assert own_redis.password not in server.stderr


async def test_more_calls_at_once_than_there_is_room_for_are_refused_and_the_rest_is_served() -> None:
    limits = {"CONTIT_MCP_CALLS_AT_ONCE": "20", "CONTIT_MCP_CALLS_PER_CALLER": "15"}
    async with deployment(SandboxOptions(run_seconds=8), **TOKEN_MODE, **limits) as (server, sandbox):
        found: Counter[int] = Counter()
        refused: set[tuple[str, str]] = set()

        async def post(http: httpx.AsyncClient, number: int) -> None:
            arguments = {"prompt": f"{QUESTION} ({number})"}
            response = await http.post(server.url, **children.request_of(ERAS[number % 2], "contit_ask", arguments))
            found[response.status_code] += 1
            if response.status_code != 200:
                refused.add((response.json()["error"]["data"]["reason"], response.headers["retry-after"]))

        async with caller(TOKENS["anna"]) as anna, caller(TOKENS["marco"]) as marco:
            async with anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(post, anna, number)
                await runs(sandbox, 15)
                for number in range(30):
                    tasks.start_soon(post, marco, number)
            assert found == {200: 20, 429: 15, 503: 25}
            assert refused == {("too_many_calls", "5"), ("overloaded", "2")}
            assert len(sandbox.runs) == 20
            await until_quiet(server)
            assert (await ask(anna, server, prompt="Show me the three cheapest tents"))["status"] == "completed"


async def test_errors_disconnects_and_refusals_leave_no_call_counted() -> None:
    limits = {"CONTIT_MCP_CALLS_PER_CALLER": "2", "CONTIT_MCP_CALLS_AT_ONCE": "2"}
    faults = (Fault("500", on="start", times=1), Fault("malformed", on="start", times=1))
    options = SandboxOptions(run_seconds=60, faults=faults)
    async with deployment(options, **limits) as (server, sandbox), caller() as http:
        for _ in faults:
            assert (await call(http, server, "contit_ask", prompt=QUESTION))["isError"]
        for era in ERAS:
            assert (await call(http, server, "contit_status", era, thread_id="t", run_id="r"))["isError"]
            assert (await http.post(server.url, content=b"{", headers={"Accept": "*/*"})).status_code >= 400
            for number in range(2):
                known = len(sandbox.runs)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(lambda era, n: ask(http, server, era, prompt=f"{era} {n}"), era, number)
                    await runs(sandbox, known + 1)
                    tasks.cancel_scope.cancel()
            await until_quiet(server)
        assert await statuses(http, server, *[LISTING] * 3) == {200: 3}


async def test_polls_of_tasks_do_not_use_up_the_requests_of_a_minute() -> None:
    """They have a limit of their own. The method in the body decides, whatever a header says."""
    polls = [
        message_of("modern", f"tasks/{method}", {"taskId": "made-up"}, name="made-up")
        for method in ("get", "update", "cancel")
    ]
    limits = {"CONTIT_MCP_REQUESTS_PER_MINUTE": "5"}
    async with deployment(None, **TOKEN_MODE, **limits) as (server, _), caller(TOKENS["anna"]) as anna:
        assert 429 not in await statuses(anna, server, *(polls * 34)[:100])
        disguised = [message_of(era, "tools/list", {}) for era in ERAS]
        for request, method in zip(disguised, ("tasks/get", "subscriptions/listen"), strict=True):
            request["headers"] |= {"Mcp-Method": method}
        assert (await statuses(anna, server, *disguised * 3, *[LISTING] * 3))[429] == 4
        refused = await anna.post(server.url, **polls[0])
        assert (refused.status_code, refused.json()["id"]) == (429, 1)
        for method in "initialize ping tools/call prompts/list prompts/get resources/list resources/read x y z".split():
            refused = await anna.post(server.url, **message_of("legacy", method, {}))
            assert (refused.status_code, refused.json()["id"], "go on in" in refused.text) == (429, 1, True), method


@given(st.integers(1, 50), st.lists(st.floats(0, 90), max_size=60), st.floats(6_000, 6_060))
async def test_no_minute_has_more_requests_than_allowed(limit: int, pauses: list[float], begin: float) -> None:
    """After the seconds that a refusal names, the next request passes."""
    clock = SimpleNamespace(now=begin)
    rate = RequestRate(limit, now=lambda: clock.now)
    admitted: Counter[int] = Counter()
    for pause in pauses:
        clock.now += pause
        seconds = await rate.seconds_to_wait("anna")
        if seconds is not None:
            assert 1 <= seconds <= 120
            clock.now += seconds
            assert await rate.seconds_to_wait("anna") is None
        admitted[int(clock.now // 60)] += 1
    assert max(admitted.values(), default=0) <= limit


async def test_a_burst_at_the_end_of_a_minute_counts_in_the_next_one() -> None:
    """A fixed window would let twice as many pass at once."""
    clock = SimpleNamespace(now=6_059.0)
    rate = RequestRate(100, now=lambda: clock.now)
    first = [await rate.seconds_to_wait("anna") for _ in range(100)]
    clock.now += 2
    second = [await rate.seconds_to_wait("anna") for _ in range(100)]
    assert (first.count(None), second.count(None)) == (100, 1)
    clock.now += 180
    assert await rate.seconds_to_wait("anna") is None


async def test_the_callers_that_are_counted_have_a_limit() -> None:
    """Beyond MOST_COUNTS, the one that was counted first is forgotten."""
    rate = RequestRate(1, now=lambda: 6_000.0)
    assert await rate.seconds_to_wait("first") is None
    for number in range(MOST_COUNTS - 1):
        assert await rate.seconds_to_wait(f"made-up-{number}") is None
    assert await rate.seconds_to_wait("first") is not None
    assert await rate.seconds_to_wait("one more") is None
    assert await rate.seconds_to_wait("first") is None

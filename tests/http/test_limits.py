"""How much one caller may ask for, and all together; and that whatever is counted is counted down again."""

from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import MCPError
from mcp.client import Client

from contit_mcp.sandbox.options import Fault, SandboxOptions
from tests.children import (
    ERAS,
    QUESTION,
    TOKEN_MODE,
    TOKENS,
    Served,
    ask,
    call,
    caller,
    deployed,
    deployment,
    message_of,
    request_of,
    runs,
    sandbox_on_port,
)
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio

NO_SUCH = {"thread_id": "t", "run_id": "r"}


async def statuses(http: httpx.AsyncClient, server: Served, times: int) -> Counter[int]:
    """Ask so often for the list of tools, one after the other."""
    found: Counter[int] = Counter()
    for _ in range(times):
        found[(await http.post(server.url, **listing())).status_code] += 1
    return found


def listing() -> dict[str, Any]:
    """A request that costs Contit nothing."""
    request = request_of("legacy", "", {})
    request["json"] |= {"method": "tools/list", "params": {}}
    return request


async def until_quiet(server: Served, http: httpx.AsyncClient) -> None:
    """Wait until no call is under way."""
    while (await server.metrics())["contit_mcp_calls_in_flight"]:
        await anyio.sleep(0.05)


async def test_a_caller_over_its_requests_a_minute_is_told_when_to_go_on_and_others_go_on() -> None:
    """429 with Retry-After: until this minute and a tenth of the next one are over."""
    with anyio.fail_after(30):
        async with deployment(None, **TOKEN_MODE, CONTIT_MCP_REQUESTS_PER_MINUTE="10") as (server, _):
            async with caller(TOKENS["anna"]) as anna, caller(TOKENS["marco"]) as marco:
                assert await statuses(anna, server, 12) == {200: 10, 429: 2}
                refused = await anna.post(server.url, **listing())
                assert 1 <= int(refused.headers["retry-after"]) <= 66
                error = refused.json()["error"]
                assert refused.json()["id"] == 1
                assert error["message"] == f"Too many requests; go on in {refused.headers['retry-after']} s."
                assert error["data"]["reason"] == "too_many_requests"
                assert await statuses(marco, server, 3) == {200: 3}
            assert (await server.metrics())["contit_mcp_rejected_requests_total{reason=too_many_requests}"] == 3


async def test_replicas_count_together_in_redis_and_each_for_itself_while_it_is_away(tmp_path: Path) -> None:
    """A burst over both of them has one limit; without Redis no call is refused because of it."""
    with anyio.fail_after(60), redis_server(tmp_path) as redis:
        async with sandbox_on_port() as (url, _):
            environment = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", **TOKEN_MODE}
            environment |= {"CONTIT_MCP_STORE": redis.url, "CONTIT_MCP_REQUESTS_PER_MINUTE": "120"}
            async with deployed(environment) as one, deployed(environment) as other, caller(TOKENS["anna"]) as anna:
                found: Counter[int] = Counter()

                async def post(server: Served) -> None:
                    found[(await anna.post(server.url, **listing())).status_code] += 1

                began = anyio.current_time()
                async with anyio.create_task_group() as tasks:
                    for _ in range(80):
                        tasks.start_soon(post, one)
                        tasks.start_soon(post, other)
                assert found.total() == 160
                # The window slides on meanwhile, by two a second.
                assert 120 <= found[200] <= 125 + 2 * (anyio.current_time() - began)
                redis.stop()
                for server in (one, other):
                    began = anyio.current_time()
                    async with anyio.create_task_group() as tasks:
                        for _ in range(20):
                            tasks.start_soon(post, server)
                    assert anyio.current_time() - began < 5
                    assert [line["level"] for line in server.named("limits.local_only")] == ["warning"]
                assert found[200] >= 160, "no call is refused because Redis is down"
                redis.start()
                with anyio.fail_after(30):
                    for server in (one, other):
                        while not server.named("limits.shared"):
                            await anyio.sleep(0.5)
                            await anna.post(server.url, **listing())
                for server in (one, other):
                    assert [len(server.named(f"limits.{state}")) for state in ("local_only", "shared")] == [1, 1]
                    assert redis.password not in server.stderr


async def test_more_calls_at_once_than_there_is_room_for_are_refused_and_the_rest_is_served(tmp_path: Path) -> None:
    """Three times as many as all may have, in one burst: nothing hangs, and the room is there again."""
    with anyio.fail_after(60), redis_server(tmp_path) as redis:
        environment = {"CONTIT_MCP_STORE": redis.url, **TOKEN_MODE}
        environment |= {"CONTIT_MCP_CALLS_AT_ONCE": "20", "CONTIT_MCP_CALLS_PER_CALLER": "15"}
        async with deployment(SandboxOptions(run_seconds=2), **environment) as (server, sandbox):
            found: Counter[int] = Counter()
            refused: set[tuple[str, str]] = set()

            async def post(name: str, number: int) -> None:
                arguments = {"prompt": f"{QUESTION} ({number})"}
                response = await by_name[name].post(server.url, **request_of(ERAS[number % 2], "contit_ask", arguments))
                found[response.status_code] += 1
                if response.status_code != 200:
                    refused.add((response.json()["error"]["data"]["reason"], response.headers["retry-after"]))

            async with caller(TOKENS["anna"]) as anna, caller(TOKENS["marco"]) as marco:
                by_name = {"anna": anna, "marco": marco}
                async with anyio.create_task_group() as tasks:
                    for number in range(30):
                        tasks.start_soon(post, "anna", number)
                    await runs(sandbox, 15)
                    for number in range(30):
                        tasks.start_soon(post, "marco", number)
                assert found == {200: 20, 429: 15, 503: 25}
                assert refused == {("too_many_calls", "5"), ("overloaded", "2")}
                assert len(sandbox.runs) == 20
                await until_quiet(server, anna)
                assert (await ask(anna, server, prompt="Show me the three cheapest tents"))["status"] == "completed"


async def test_errors_disconnects_and_refusals_leave_no_call_counted() -> None:
    """Else a server would fill up with callers that are gone."""
    environment = {"CONTIT_MCP_CALLS_PER_CALLER": "2", "CONTIT_MCP_CALLS_AT_ONCE": "2"}
    faults = (Fault("500", on="start", times=1), Fault("malformed", on="start", times=1))
    with anyio.fail_after(60):
        async with (
            deployment(SandboxOptions(run_seconds=60, faults=faults), **environment) as (server, sandbox),
            caller() as http,
        ):
            for _ in range(2):
                assert (await call(http, server, "contit_ask", prompt=QUESTION))["isError"]
            for era in ERAS:
                assert (await call(http, server, "contit_status", era, **NO_SUCH))["isError"]
                assert (await http.post(server.url, content=b"{", headers={"Accept": "*/*"})).status_code >= 400
                for number in range(2):
                    known = len(sandbox.runs)
                    with anyio.move_on_after(20) as leaving:
                        async with anyio.create_task_group() as tasks:
                            tasks.start_soon(lambda era, n: ask(http, server, era, prompt=f"{era} {n}"), era, number)
                            await runs(sandbox, known + 1)
                            leaving.cancel()
                await until_quiet(server, http)
            assert await statuses(http, server, 3) == {200: 3}


def poll(era: str, method: str = "tasks/get") -> dict[str, Any]:
    """What a client sends that waits for a task."""
    return message_of(era, method, {"taskId": "made-up"}, name="made-up")


async def test_polls_of_tasks_do_not_use_up_the_requests_of_a_minute() -> None:
    """Ten tasks are polled more often than 300 times a minute. Polls have a limit of their own, also for what they ask."""
    with anyio.fail_after(60):
        async with (
            deployment(None, **TOKEN_MODE, CONTIT_MCP_REQUESTS_PER_MINUTE="5") as (server, _),
            caller(TOKENS["anna"]) as anna,
        ):
            polls: Counter[int] = Counter()
            for number in range(100):
                method = ("tasks/get", "tasks/update", "tasks/cancel")[number % 3]
                polls[(await anna.post(server.url, **poll("modern", method))).status_code] += 1
            assert 429 not in polls
            assert await statuses(anna, server, 5) == {200: 5}
            assert await statuses(anna, server, 2) == {429: 2}
            refused = await anna.post(server.url, **poll("modern"))
            assert (refused.status_code, refused.json()["id"]) == (429, 1)


@pytest.mark.parametrize("header", ["tasks/get", "subscriptions/listen", "tasks/cancel"])
async def test_a_header_cannot_choose_the_limit(header: str) -> None:
    """The method in the body counts, whatever `Mcp-Method` says."""
    with anyio.fail_after(30):
        async with deployment(None, CONTIT_MCP_REQUESTS_PER_MINUTE="5") as (server, _), caller() as http:
            found: Counter[int] = Counter()
            for number in range(12):
                request = message_of(ERAS[number % 2], "tools/list", {})
                request["headers"] |= {"Mcp-Method": header}
                found[(await http.post(server.url, **request)).status_code] += 1
            assert found[429] == 7


async def test_the_sdk_s_client_reads_why_it_is_refused() -> None:
    """Its user sees the sentence, not a bare status."""
    with anyio.fail_after(30):
        async with deployment(None, CONTIT_MCP_REQUESTS_PER_MINUTE="3") as (server, _):
            for mode in ("legacy", "auto"):
                with pytest.raises((MCPError, ExceptionGroup)) as caught:
                    await list_often(server.url, mode)
                assert "Too many requests; go on in" in "".join(map(str, _flat(caught.value)))


async def list_often(url: str, mode: str) -> None:
    """Ask more often for the tools than is allowed."""
    async with Client(url, mode=mode) as client:
        for _ in range(5):
            await client.list_tools(cache_mode="refresh")


def _flat(error: BaseException) -> list[BaseException]:
    return (
        [each for inner in error.exceptions for each in _flat(inner)] if isinstance(error, ExceptionGroup) else [error]
    )

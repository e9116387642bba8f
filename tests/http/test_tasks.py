"""Tasks over HTTP: byte by byte, between processes that die, and between callers who must not see each other."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from contit_mcp.sandbox.options import Fault, SandboxOptions
from contit_mcp.tasks.extension import IDENTIFIER
from tests.children import QUESTION, TOKEN_MODE, TOKENS, Served, caller, deployed, deployment, message_of, messages_in
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

AT_ONCE = {"CONTIT_MCP_TASK_INLINE_SECONDS": "0"}
DECLARED: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {IDENTIFIER: {}}}}


async def send(
    http: httpx.AsyncClient, server: Served, method: str, params: dict[str, Any], *, name: str | None = None
) -> httpx.Response:
    """Send a request of a client that declares the extension."""
    return await http.post(server.url, **message_of("modern", method, params | {"_meta": DECLARED}, name=name))


async def create(http: httpx.AsyncClient, server: Served, prompt: str = QUESTION) -> dict[str, Any]:
    params = {"name": "contit_ask", "arguments": {"prompt": prompt}}
    task: dict[str, Any] = messages_in(await send(http, server, "tools/call", params, name="contit_ask"))[-1]["result"]
    assert task["resultType"] == "task", task
    return task


async def about(http: httpx.AsyncClient, server: Served, task: dict[str, Any], method: str = "get") -> dict[str, Any]:
    params = {"taskId": task["taskId"]} | ({"inputResponses": {}} if method == "update" else {})
    message: dict[str, Any] = (await send(http, server, f"tasks/{method}", params, name=task["taskId"])).json()
    return message


async def ended(http: httpx.AsyncClient, server: Served, task: dict[str, Any], *, every: float = 0.1) -> dict[str, Any]:
    """Return the task once it has ended. It is polled faster than it asks for."""
    while True:
        found: dict[str, Any] = (await about(http, server, task))["result"]
        if found["status"] != "working":
            return found
        await anyio.sleep(every)


@asynccontextmanager
async def two_replicas(store: str) -> AsyncIterator[tuple[Served, Served]]:
    environment = {"CONTIT_MCP_STORE": store, **TOKEN_MODE, **AT_ONCE}
    async with deployment(SandboxOptions(run_seconds=2), **environment) as (one, _), deployed(one.environment) as other:
        yield one, other


async def test_ten_tasks_of_one_client_can_be_polled_more_often_than_it_is_asked_to() -> None:
    """Polls do not use up the 300 requests a minute of the default settings, and the pause grows with the tasks."""
    async with deployment(SandboxOptions(run_seconds=60), **AT_ONCE) as (server, _), caller() as http:
        tasks = [await create(http, server, f"{QUESTION} ({number})") for number in range(10)]
        for task in tasks * 35:
            assert (await about(http, server, task))["result"]["status"] == "working"
        assert tasks[0]["pollIntervalMs"] < tasks[-1]["pollIntervalMs"]


async def test_a_task_outlives_its_process_if_another_has_the_same_seal_key() -> None:
    """After `kill -9`, without a shared store. For another caller the task does not exist."""
    async with two_replicas("memory") as (one, other), caller(TOKENS["anna"]) as anna:
        task = await create(anna, one)
        await one.end(signal.SIGKILL)
        found = await ended(anna, other, task)
        assert (found["status"], found["createdAt"]) == ("completed", task["createdAt"])
        structure = found["result"]["structuredContent"]
        assert structure["status"] == "completed"
        assert "draft" in structure["response"]
        async with caller(TOKENS["marco"]) as marco:
            made_up = await about(marco, other, {"taskId": "h1_AAAA"})
            assert made_up["error"]["code"] == -32602
            for method in ("get", "cancel", "update"):
                assert await about(marco, other, task, method) == made_up
        ids = {name: structure[name] for name in ("thread_id", "run_id")}
        params = {"name": "contit_response", "arguments": ids}
        response = await send(anna, other, "tools/call", params, name="contit_response")
        again = messages_in(response)[-1]["result"]["structuredContent"]
        assert again["response"] == structure["response"]


async def test_replicas_that_share_a_store_agree_on_what_was_cancelled(own_redis: RedisServer) -> None:
    """It stays cancelled although its run goes on and ends."""
    async with two_replicas(own_redis.url) as (one, other), caller(TOKENS["anna"]) as anna:
        task, kept = await create(anna, one), await create(anna, one, "How many articles are there?")
        assert (await about(anna, other, task, "cancel"))["result"]["resultType"] == "complete"
        for server in (one, other):
            assert (await about(anna, server, task))["result"]["status"] == "cancelled"
            assert (await about(anna, server, kept))["result"]["status"] in {"working", "completed"}
        assert (await one.end())[0] == 0
        await anyio.sleep(2.5)
        assert (await about(anna, other, task))["result"]["status"] == "cancelled"
        assert (await ended(anna, other, kept))["status"] == "completed"


async def test_the_header_mcp_name_is_absent_or_names_the_task() -> None:
    """Any other value is error -32020 with HTTP 400, as the specification says."""
    async with deployment(SandboxOptions(run_seconds=0.2), **AT_ONCE) as (server, _), caller() as http:
        params = {"taskId": (await create(http, server))["taskId"], "inputResponses": {}}
        for method in ("get", "update", "cancel"):
            mismatch = await send(http, server, f"tasks/{method}", params, name="another")
            assert (mismatch.status_code, mismatch.json()["error"]["code"]) == (400, -32020)
        assert (await send(http, server, "tasks/get", params)).status_code == 200
        for task_id in (None, 7, ["x"]):
            wrong = await send(http, server, "tasks/get", {"taskId": task_id})
            assert wrong.json()["error"]["code"] == -32602
        assert not [line for line in server.lines if line["level"] != "info"]


async def test_a_task_is_one_call_and_its_run_is_counted_by_its_end() -> None:
    """Polls are no calls, and two tasks of one question have one run."""
    options = SandboxOptions(run_seconds=2, faults=(Fault("failed", times=1),))
    async with deployment(options, **AT_ONCE) as (server, _), caller() as http:
        prompts = (QUESTION, "How many articles are there?", QUESTION)
        for task in [await create(http, server, prompt) for prompt in prompts]:
            await ended(http, server, task)
        found = await server.metrics()
    assert found["contit_mcp_calls_total{outcome=task}{tool=contit_ask}"] == 3
    assert sum(count for name, count in found.items() if name.startswith("contit_mcp_calls_total")) == 3
    assert [found[f"contit_runs_total{{end={end}}}"] for end in ("completed", "run_failed")] == [1, 1]
    assert found["contit_run_seconds_count{end=run_failed}"] == 1
    assert "contit_mcp_call_seconds_count{tool=contit_ask}" not in found

"""Runs outlive processes: real children that share a store, killed with -9 while they wait."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from contit_mcp.tasks.extension import IDENTIFIER
from tests.children import QUESTION, Child, polls, runs, sandbox_on_port, stdio_child
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {"CONTIT_MCP_STATE_DIR": str(tmp_path / "state")}
        return
    with redis_server(tmp_path) as server:
        yield {"CONTIT_MCP_STORE": server.url}


@asynccontextmanager
async def children(
    store: dict[str, str], *, run_seconds: float, handshake: bool = True
) -> AsyncIterator[tuple[list[Child], SandboxRecord]]:
    async with sandbox_on_port(SandboxOptions(run_seconds=run_seconds)) as (url, sandbox):
        environment = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", **store}
        async with stdio_child(environment) as first, stdio_child(environment) as second:
            for child in (first, second) if handshake else ():
                await child.initialize()
            yield [first, second], sandbox


def ask(number: int, **more: object) -> dict[str, Any]:
    arguments = {"prompt": QUESTION, "wait_seconds": 60, **more}
    return {"id": number, "method": "tools/call", "params": {"name": "contit_ask", "arguments": arguments}}


async def test_two_processes_share_one_run_and_a_killed_one_loses_nothing(store: dict[str, str]) -> None:
    """The other process knows the ids, answers the same question with the same run, and asks about it alone."""
    with anyio.fail_after(60):
        async with children(store, run_seconds=8) as ((first, second), sandbox):
            await first.send(ask(2))
            await runs(sandbox, 1)
            await second.send(ask(2))
            await anyio.sleep(1)
            assert polls(sandbox) <= 6  # by one of the two, with one look of the other
            first.process.kill()
            ids = {"thread_id": sandbox.runs[0].thread_id, "run_id": sandbox.runs[0].run_id}
            assert (await second.call(3, "contit_status", ids))["structuredContent"]["status"] == "in_progress"
            answer = (await second.answer(2))["result"]["structuredContent"]
            assert (answer["status"], answer["run_id"]) == ("completed", ids["run_id"])
            again = await second.call(4, "contit_response", ids)
            assert again["structuredContent"]["response"] == answer["response"]
        assert len(sandbox.runs) == 1


async def test_a_run_that_ended_while_no_process_lived_answers_the_same_question(store: dict[str, str]) -> None:
    """Without polls: its asker never got the answer."""
    with anyio.fail_after(60):
        async with children(store, run_seconds=3) as ((first, second), sandbox):
            await first.send(ask(2))
            await runs(sandbox, 1)
            first.process.kill()
            await anyio.sleep(3)
            asked = len(sandbox.requests)
            await second.send(ask(2))
            answer = (await second.answer(2))["result"]["structuredContent"]
            assert [request.endpoint for request in sandbox.requests[asked:]] == ["status", "response"]
        assert (answer["status"], answer["run_id"]) == ("completed", sandbox.runs[0].run_id)
        assert len(sandbox.runs) == 1


async def test_a_task_outlives_the_server_of_a_host() -> None:
    """After `kill -9`, with a store in memory: the task id has all that is needed."""
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {IDENTIFIER: {}}},
    }
    store = {"CONTIT_MCP_STORE": "memory", "CONTIT_MCP_TASK_INLINE_SECONDS": "0"}
    with anyio.fail_after(60):
        async with children(store, run_seconds=2, handshake=False) as ((first, second), sandbox):
            call = ask(2)["params"] | {"_meta": envelope}
            task = (await first.request(2, "tools/call", call))["result"]
            assert task["resultType"] == "task"
            first.process.kill()
            for number in itertools.count(2):
                about = {"taskId": task["taskId"], "_meta": envelope}
                found = (await second.request(number, "tasks/get", about))["result"]
                if found["status"] != "working":
                    break
                await anyio.sleep(0.2)
            assert (found["taskId"], found["status"]) == (task["taskId"], "completed")
            assert "draft" in found["result"]["structuredContent"]["response"]
        assert len(sandbox.runs) == 1


async def test_redis_stopped_in_the_middle_and_started_again_loses_nothing_but_the_sharing(tmp_path: Path) -> None:
    """Asks go on without it, and with it again when it is back, though it comes back empty."""
    with anyio.fail_after(90), redis_server(tmp_path) as server:
        async with children({"CONTIT_MCP_STORE": server.url}, run_seconds=3) as ((first, second), sandbox):
            await first.send(ask(2))
            await runs(sandbox, 1)
            server.stop()
            answer = (await first.answer(2))["result"]["structuredContent"]
            assert answer["status"] == "completed"
            other = await second.call(2, "contit_ask", {"prompt": "Show me the three cheapest tents"})
            assert other["structuredContent"]["status"] == "completed"
            server.start()
            ids = {name: answer[name] for name in ("thread_id", "run_id")}
            elsewhere = {"thread_id": "thread_elsewhere", "run_id": "run_elsewhere"}  # so that the store is asked
            for child in (first, second):
                for number in itertools.count(100):
                    if b"store.back" in child.stderr:
                        break
                    await child.call(number, "contit_status", elsewhere)
                    await anyio.sleep(0.5)
            assert (await first.call(3, "contit_response", ids))["structuredContent"]["response"] == answer["response"]
            await first.send(ask(4, thread_id=answer["thread_id"]))
            while len(sandbox.runs) < 3 or sandbox.requests[-1].endpoint != "status":
                await anyio.sleep(0.02)
            await second.send(ask(4, thread_id=answer["thread_id"]))
            joined = [(await child.answer(4))["result"]["structuredContent"] for child in (first, second)]
            assert joined[0]["run_id"] == joined[1]["run_id"]
            assert len(sandbox.runs) == 3
        assert b"store.unusable" in first.stderr
        assert server.password.encode() not in first.stderr + second.stderr

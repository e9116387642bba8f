"""Runs outlive processes: a real child is killed with -9 while it waits, and another one on its store goes on."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from tests.children import QUESTION, polls, runs, sandbox_on_port, stdio_child
from tests.redis_server import redis_server

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]
ARGUMENTS = {"prompt": QUESTION, "wait_seconds": 60}
ASK = {"id": 2, "method": "tools/call", "params": {"name": "contit_ask", "arguments": ARGUMENTS}}


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {"CONTIT_MCP_STATE_DIR": str(tmp_path / "state")}
        return
    with redis_server(tmp_path) as server:
        yield {"CONTIT_MCP_STORE": server.url}


async def test_two_processes_share_one_run_and_a_killed_one_loses_nothing(store: dict[str, str]) -> None:
    """The other process knows the ids, answers the same question with the same run, and polls it from then on."""
    with anyio.fail_after(60):
        async with sandbox_on_port(SandboxOptions(run_seconds=8)) as (url, sandbox):
            environment = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", **store}
            async with stdio_child(environment) as first, stdio_child(environment) as second:
                for child in (first, second):
                    await child.initialize()
                await first.send(ASK)
                await runs(sandbox, 1)
                await second.send(ASK)
                await anyio.sleep(1)
                assert polls(sandbox) <= 6, "one of the two polls, and the other has polled once"
                first.process.kill()
                ids = {"thread_id": sandbox.runs[0].thread_id, "run_id": sandbox.runs[0].run_id}
                assert (await second.call(3, "contit_status", ids))["structuredContent"]["status"] == "in_progress"
                answer = (await second.answer(2))["result"]["structuredContent"]
                assert (answer["status"], answer["run_id"]) == ("completed", ids["run_id"])
                again = await second.call(4, "contit_response", ids)
                assert again["structuredContent"]["response"] == answer["response"]
            assert len(sandbox.runs) == 1

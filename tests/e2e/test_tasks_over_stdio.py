"""Tasks over stdio, byte by byte: a real child that is killed, and the next one that its host starts."""

import itertools
import signal
from typing import Any

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.tasks.extension import IDENTIFIER
from tests.children import Child, sandbox_on_port, stdio_child

pytestmark = pytest.mark.anyio

NUMBERS = itertools.count(1)
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {IDENTIFIER: {}}},
}


async def request(child: Child, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Send a request of the newer era and wait for its answer."""
    return await child.request(next(NUMBERS), method, params | {"_meta": ENVELOPE})


async def test_a_task_outlives_the_server_of_a_host() -> None:
    """After `kill -9`, with nothing kept but the configuration."""
    with anyio.fail_after(60):
        async with sandbox_on_port(SandboxOptions(run_seconds=2)) as (url, sandbox):
            environment = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory"}
            environment["CONTIT_MCP_TASK_INLINE_SECONDS"] = "0"
            async with stdio_child(environment) as child:
                call = {"name": "contit_ask", "arguments": {"prompt": "How many drafts are there?"}}
                task = (await request(child, "tools/call", call))["result"]
                assert task["resultType"] == "task"
                await child.end(by=signal.SIGKILL)
            async with stdio_child(environment) as child:
                about = {"taskId": task["taskId"]}
                while (found := (await request(child, "tasks/get", about))["result"])["status"] == "working":
                    await anyio.sleep(0.2)
                assert (found["taskId"], found["status"]) == (task["taskId"], "completed")
                assert "draft" in found["result"]["structuredContent"]["response"]
                unknown = (await request(child, "tasks/get", {"taskId": task["taskId"][:-1]}))["error"]
                assert unknown["code"] == -32602
                assert await child.end() == 0
    assert len(sandbox.runs) == 1
    assert b'"level": "info"' in child.stderr
    assert not any(word in child.stderr for word in (b'"level": "error"', b'"level": "warning"', b"Traceback"))

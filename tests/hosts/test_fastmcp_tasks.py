"""A client that is not ours and declares the Tasks extension: FastMCP with the package fastmcp-tasks."""

import subprocess
import sys

from tests.children import Served, clean_environment
from tests.hosts.installing import python_packages

TOKEN = "a-token-of-the-tests-0123"
CLIENT = """
import asyncio, sys
import fastmcp_tasks  # makes every client of this process declare the extension
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

async def main(kind, *target):
    if kind == "http":
        client = Client(target[0], auth=target[1])
    else:
        client = Client(StdioTransport(target[0], list(target[1:])))
    async with client:
        result = await client.call_tool("contit_ask", {"prompt": "How many drafts are there?"})
        print(result.data.status, result.data.response)

asyncio.run(main(*sys.argv[1:]))
"""


def asked(*target: str) -> str:
    """What the client got for its question."""
    python = str(python_packages("fastmcp_tasks") / "python")
    done = subprocess.run(
        [python, "-c", CLIENT, *target], capture_output=True, text=True, timeout=60, check=True, env=clean_environment()
    )
    return done.stdout


def test_fastmcp_asks_by_a_task_over_stdio() -> None:
    """It polls by itself and returns the answer as of a plain call (seen with fastmcp-tasks 4.1.2)."""
    command = ["-m", "contit_mcp", "stdio", "--sandbox"]
    assert asked("stdio", sys.executable, *command).startswith("completed There are ")


def test_fastmcp_asks_by_a_task_over_http() -> None:
    """Also without the header Mcp-Name, which it does not send (seen with fastmcp-tasks 4.1.2)."""
    mode = {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS": f"anna:{TOKEN}", "CONTIT_MCP_SEAL_KEY": "s" * 32}
    mode["CONTIT_MCP_TASK_INLINE_SECONDS"] = "0"  # otherwise a quick answer is no task
    with Served(mode, ("--sandbox",)) as server:
        assert asked("http", server.url, TOKEN).startswith("completed There are ")
        names = [(line["tool"], line["outcome"]) for line in server.named("call.finished")]
    assert names[0] == ("contit_ask", "task")
    assert {method for method, _ in names[1:]} == {"tasks/get"}
    assert names[-1] == ("tasks/get", "completed")

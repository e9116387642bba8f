"""A client that is not ours and declares the Tasks extension: FastMCP with the package fastmcp-tasks."""

import subprocess
import sys

from tests.children import TOKEN_MODE, TOKENS, Served, clean_environment
from tests.hosts.installing import python_packages

CLIENT = """
import asyncio, sys
import fastmcp_tasks  # makes every client of this process declare the extension
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

async def main(first, *more):
    way = Client(first, auth=more[0]) if first.startswith("http") else Client(StdioTransport(first, list(more)))
    async with way as client:
        result = await client.call_tool("contit_ask", {"prompt": "How many drafts are there?"})
        print(result.data.status, result.data.response)

asyncio.run(main(*sys.argv[1:]))
"""


def asked(*way: str) -> str:
    """What the client got for its question."""
    command = [str(python_packages("fastmcp_tasks") / "python"), "-c", CLIENT, *way]
    environment = clean_environment()
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment).stdout


def test_fastmcp_asks_by_a_task_over_stdio() -> None:
    """It polls by itself and returns the answer as of a plain call (seen with fastmcp-tasks 4.1.2)."""
    assert asked(sys.executable, "-m", "contit_mcp", "stdio", "--sandbox").startswith("completed There are ")


def test_fastmcp_asks_by_a_task_over_http() -> None:
    """Also without the header Mcp-Name, which it does not send (seen with fastmcp-tasks 4.1.2)."""
    no_wait = {"CONTIT_MCP_TASK_INLINE_SECONDS": "0"}  # otherwise a quick answer is no task
    with Served(TOKEN_MODE | no_wait, ("--sandbox",)) as server:
        assert asked(server.url, TOKENS["anna"]).startswith("completed There are ")
        first, *polls = [(line["tool"], line["outcome"]) for line in server.named("call.finished")]
    assert first == ("contit_ask", "task")
    assert {method for method, _ in polls} == {"tasks/get"}
    assert polls[-1] == ("tasks/get", "completed")

"""The client of the Python SDK 2.x with a time limit that is shorter than an answer takes."""

import json
import sys
from contextlib import AsyncExitStack

import anyio
import httpx2
from mcp import MCPError
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

GIVEN = json.loads(sys.argv[1])


async def main() -> None:
    async with AsyncExitStack() as stack:
        if GIVEN["command"]:
            child = StdioServerParameters(command=GIVEN["command"], args=GIVEN["args"], env=GIVEN["env"])
            transport = stdio_client(child)
        else:
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=GIVEN["headers"], timeout=60))
            transport = streamable_http_client(GIVEN["url"], http_client=http)
        client = await stack.enter_async_context(Client(transport, read_timeout_seconds=GIVEN["seconds"]))
        first = "answered"
        try:
            await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})
        except MCPError:
            first = "timed out"
        again = {"prompt": GIVEN["question"], "wait_seconds": 1}
        second = (await client.call_tool("contit_ask", again)).structured_content
        ids = {name: second[name] for name in ("thread_id", "run_id")}
        third = (await client.call_tool("contit_response", {**ids, "wait_seconds": 4})).structured_content
    print(json.dumps({"first": first, "second": second, "third": third}))


anyio.run(main)

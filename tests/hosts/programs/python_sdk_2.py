"""The client of the Python SDK 2.x, in the mode that is named."""

import json
import sys
from contextlib import AsyncExitStack

import anyio
import httpx2
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
        client = await stack.enter_async_context(Client(transport, mode=GIVEN["mode"]))
        tools = [tool.name for tool in (await client.list_tools()).tools]
        first = await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})
        arguments = {"prompt": GIVEN["follow_up"], "thread_id": first.structured_content["thread_id"]}
        results = [first, await client.call_tool("contit_ask", arguments)]
    found = [
        {
            "content": [block.text for block in result.content],
            "structured": result.structured_content,
            "isError": result.is_error,
        }
        for result in results
    ]
    print(json.dumps({"tools": tools, "results": found}))


anyio.run(main)

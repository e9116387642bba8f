"""FastMCP's client."""

import json
import sys

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

GIVEN = json.loads(sys.argv[1])


async def main() -> None:
    if GIVEN["command"]:
        transport = StdioTransport(command=GIVEN["command"], args=["stdio"], env=GIVEN["env"])
    else:
        transport = StreamableHttpTransport(GIVEN["url"], headers=GIVEN["headers"])
    async with Client(transport) as client:
        tools = [tool.name for tool in await client.list_tools()]
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

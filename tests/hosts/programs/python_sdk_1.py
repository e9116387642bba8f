"""The client session of the Python SDK 1.x."""

import json

import anyio
from given import CHILD, GIVEN, PLACE
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


async def main() -> None:
    way = stdio_client(StdioServerParameters(**CHILD)) if CHILD["command"] else streamablehttp_client(**PLACE)
    async with way as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        results = [(await session.call_tool("contit_ask", {"prompt": GIVEN["question"]})).model_dump()]
        # 1.9 knows no structured content, but keeps what it does not know.
        arguments = {"prompt": GIVEN["follow_up"], "thread_id": results[0]["structuredContent"]["thread_id"]}
        results.append((await session.call_tool("contit_ask", arguments)).model_dump())
    found = [
        {"content": it["content"], "structured": it["structuredContent"], "isError": it["isError"]} for it in results
    ]
    print(json.dumps({"tools": tools, "results": found}))


anyio.run(main)

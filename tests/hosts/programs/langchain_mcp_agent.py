"""An agent of LangChain whose tools come through `langchain.mcp.MCPAdapter`."""

import json
import sys

import anyio
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from langchain.agents import create_agent
from langchain.mcp import MCPAdapter
from langchain_openai import ChatOpenAI

GIVEN = json.loads(sys.argv[1])


async def main() -> None:
    if GIVEN["command"]:
        transport = StdioTransport(command=GIVEN["command"], args=["stdio"], env=GIVEN["env"])
    else:
        transport = StreamableHttpTransport(GIVEN["url"], headers=GIVEN["headers"])
    model = ChatOpenAI(model="stand-in", base_url=f"{GIVEN['model_url']}/v1", api_key="made-up")
    async with MCPAdapter(transport) as adapter:
        await create_agent(model, await adapter.list_tools()).ainvoke({"messages": [("user", "go")]})


anyio.run(main)

"""An agent of LangChain whose tools come through `langchain.mcp.MCPAdapter`."""

import anyio
from given import GIVEN
from langchain.agents import create_agent
from langchain.mcp import MCPAdapter
from langchain_openai import ChatOpenAI
from through_fastmcp import transport


async def main() -> None:
    model = ChatOpenAI(model="stand-in", base_url=f"{GIVEN['model_url']}/v1", api_key="made-up")
    async with MCPAdapter(transport()) as adapter:
        await create_agent(model, await adapter.list_tools()).ainvoke({"messages": [("user", "go")]})


anyio.run(main)

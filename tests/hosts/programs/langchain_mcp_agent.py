"""An agent of LangChain whose tools come through `langchain.mcp.MCPAdapter`."""

import anyio
from given import MODEL
from langchain.agents import create_agent
from langchain.mcp import MCPAdapter
from langchain_openai import ChatOpenAI
from through_fastmcp import transport


async def main() -> None:
    async with MCPAdapter(transport()) as adapter:
        agent = create_agent(ChatOpenAI(model="stand-in", **MODEL), await adapter.list_tools())
        await agent.ainvoke({"messages": [("user", "go")]})


anyio.run(main)

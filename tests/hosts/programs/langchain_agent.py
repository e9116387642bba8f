"""An agent of LangChain whose tools come through langchain-mcp-adapters."""

import anyio
from given import CHILD, MODEL, PLACE
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI


async def main() -> None:
    way = {"transport": "stdio", **CHILD} if CHILD["command"] else {"transport": "streamable_http", **PLACE}
    tools = await MultiServerMCPClient({"contit-assistant": way}).get_tools()
    await create_agent(ChatOpenAI(model="stand-in", **MODEL), tools).ainvoke({"messages": [("user", "go")]})


anyio.run(main)

"""An agent of LangChain whose tools come through langchain-mcp-adapters."""

import anyio
from given import GIVEN
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI


async def main() -> None:
    if GIVEN["command"]:
        connection = {"transport": "stdio", "command": GIVEN["command"], "args": ["stdio"], "env": GIVEN["env"]}
    else:
        connection = {"transport": "streamable_http", "url": GIVEN["url"], "headers": GIVEN["headers"]}
    tools = await MultiServerMCPClient({"contit-assistant": connection}).get_tools()
    model = ChatOpenAI(model="stand-in", base_url=f"{GIVEN['model_url']}/v1", api_key="made-up")
    await create_agent(model, tools).ainvoke({"messages": [("user", "go")]})


anyio.run(main)

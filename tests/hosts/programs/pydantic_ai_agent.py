"""An agent of pydantic-ai."""

import json
import sys

import anyio
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

GIVEN = json.loads(sys.argv[1])


async def main() -> None:
    if GIVEN["command"]:
        transport = StdioTransport(command=GIVEN["command"], args=["stdio"], env=GIVEN["env"])
    else:
        transport = StreamableHttpTransport(GIVEN["url"], headers=GIVEN["headers"])
    provider = OpenAIProvider(base_url=f"{GIVEN['model_url']}/v1", api_key="made-up")
    # On a busy machine a start may take longer than its 5 s.
    agent = Agent(OpenAIChatModel("stand-in", provider=provider), toolsets=[MCPToolset(transport, init_timeout=60)])
    await agent.run("go")


anyio.run(main)

"""An agent of pydantic-ai."""

import anyio
from given import GIVEN
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from through_fastmcp import transport


async def main() -> None:
    provider = OpenAIProvider(base_url=f"{GIVEN['model_url']}/v1", api_key="made-up")
    # On a busy machine a start may take longer than its 5 s.
    agent = Agent(OpenAIChatModel("stand-in", provider=provider), toolsets=[MCPToolset(transport(), init_timeout=60)])
    await agent.run("go")


anyio.run(main)

"""An agent of pydantic-ai."""

import anyio
from given import MODEL
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from through_fastmcp import transport


async def main() -> None:
    model = OpenAIChatModel("stand-in", provider=OpenAIProvider(**MODEL))
    # On a busy machine a start may take longer than its 5 s.
    await Agent(model, toolsets=[MCPToolset(transport(), init_timeout=60)]).run("go")


anyio.run(main)

"""An agent of the OpenAI Agents SDK. Its default of 5 s for a tool call is too short for questions to an assistant."""

import asyncio

from agents import Agent, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from agents.models.openai_responses import OpenAIResponsesModel
from given import CHILD, MODEL, PLACE
from openai import AsyncOpenAI


async def main() -> None:
    set_tracing_disabled(True)
    kind, way = (MCPServerStdio, CHILD) if CHILD["command"] else (MCPServerStreamableHttp, PLACE)
    async with kind(params=way, client_session_timeout_seconds=60) as server:
        model = OpenAIResponsesModel(model="stand-in", openai_client=AsyncOpenAI(**MODEL))
        await Runner.run(Agent(name="tests", model=model, mcp_servers=[server]), "go")


asyncio.run(main())

"""An agent of the OpenAI Agents SDK. Its default of 5 s for a tool call is too short for questions to an assistant."""

import asyncio

from agents import Agent, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from agents.models.openai_responses import OpenAIResponsesModel
from given import GIVEN
from openai import AsyncOpenAI


async def main() -> None:
    set_tracing_disabled(True)
    if GIVEN["command"]:
        child = {"command": GIVEN["command"], "args": ["stdio"], "env": GIVEN["env"]}
        server = MCPServerStdio(params=child, client_session_timeout_seconds=60)
    else:
        place = {"url": GIVEN["url"], "headers": GIVEN["headers"]}
        server = MCPServerStreamableHttp(params=place, client_session_timeout_seconds=60)
    client = AsyncOpenAI(base_url=f"{GIVEN['model_url']}/v1", api_key="made-up")
    async with server:
        model = OpenAIResponsesModel(model="stand-in", openai_client=client)
        await Runner.run(Agent(name="tests", model=model, mcp_servers=[server]), "go")


asyncio.run(main())

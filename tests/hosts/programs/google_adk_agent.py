"""An agent of Google's ADK. Its default of 5 s for a tool call over stdio is too short for questions to an assistant."""

import asyncio

from given import CHILD, PLACE
from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams, StreamableHTTPConnectionParams
from google.genai import types
from mcp import StdioServerParameters


async def main() -> None:
    if CHILD["command"]:
        connection = StdioConnectionParams(server_params=StdioServerParameters(**CHILD), timeout=60)
    else:
        connection = StreamableHTTPConnectionParams(**PLACE, timeout=60)
    toolset = McpToolset(connection_params=connection)
    runner = InMemoryRunner(agent=LlmAgent(name="tests", model="gemini-2.5-flash", tools=[toolset]), app_name="tests")
    session = await runner.session_service.create_session(app_name="tests", user_id="user")
    message = types.Content(role="user", parts=[types.Part(text="go")])
    async for _ in runner.run_async(user_id="user", session_id=session.id, new_message=message):
        pass
    await toolset.close()


asyncio.run(main())

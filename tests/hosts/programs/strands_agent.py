"""An agent of Strands."""

from given import GIVEN
from strands import Agent
from strands.models.openai import OpenAIModel
from strands.tools.mcp import MCPClient
from through_sdk import transport

model = OpenAIModel(client_args={"base_url": f"{GIVEN['model_url']}/v1", "api_key": "made-up"}, model_id="stand-in")
client = MCPClient(transport)
with client:
    Agent(model=model, tools=client.list_tools_sync())("go")

"""An agent of Strands."""

from given import MODEL
from strands import Agent
from strands.models.openai import OpenAIModel
from strands.tools.mcp import MCPClient
from through_sdk import transport

client = MCPClient(transport)
with client:
    Agent(model=OpenAIModel(client_args=MODEL, model_id="stand-in"), tools=client.list_tools_sync())("go")

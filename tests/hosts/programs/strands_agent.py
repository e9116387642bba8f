"""An agent of Strands."""

import json
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from strands import Agent
from strands.models.openai import OpenAIModel
from strands.tools.mcp import MCPClient

GIVEN = json.loads(sys.argv[1])


def transport() -> AbstractAsyncContextManager[Any]:
    if GIVEN["command"]:
        return stdio_client(StdioServerParameters(command=GIVEN["command"], args=["stdio"], env=GIVEN["env"]))
    http = httpx2.AsyncClient(headers=GIVEN["headers"], timeout=60)
    return streamable_http_client(GIVEN["url"], http_client=http)


model = OpenAIModel(client_args={"base_url": f"{GIVEN['model_url']}/v1", "api_key": "made-up"}, model_id="stand-in")
client = MCPClient(transport)
with client:
    Agent(model=model, tools=client.list_tools_sync())("go")

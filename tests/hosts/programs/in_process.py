"""A program with a server of contit-mcp in its own process, and one below /ai in its FastAPI application.

It takes the address of a sandbox, and prints what each client was answered: `{"FastMCP": "There are …", …}`.
"""

import asyncio
import json
import socket
import sys
import warnings
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastmcp import Client as FastMCPClient
from langchain.mcp import MCPAdapter
from mcp.client import Client
from pydantic_ai.mcp import MCPToolset

from contit_mcp import Assistant, create_app, create_server

QUESTION = {"prompt": "How many drafts are there?"}


async def main(url: str) -> dict[str, str]:
    given = {"api_key": "sandbox-key", "base_url": url, "store": "memory"}
    answers = {}
    async with Assistant(**given) as contit:
        answers["Assistant"] = (await contit.ask(QUESTION["prompt"])).response
    server = create_server(**given)
    answers |= await by_sdk("SDK", server)
    async with FastMCPClient(server) as client:
        answers["FastMCP"] = (await client.call_tool("contit_ask", QUESTION)).structured_content["response"]
    async with MCPAdapter(server) as adapter:
        [ask] = [tool for tool in await adapter.list_tools() if tool.name == "contit_ask"]
        answers["LangChain"] = (await ask.ainvoke(QUESTION))[0]["text"]
    async with MCPToolset(server) as toolset:
        answers["pydantic-ai"] = (await toolset.direct_call_tool("contit_ask", QUESTION))["response"]
    app = FastAPI()
    app.mount("/ai", create_app(**given))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        serving = asyncio.create_task(host.serve([listener]))
        answers |= await by_sdk("FastAPI", f"http://127.0.0.1:{listener.getsockname()[1]}/ai/mcp")
        host.should_exit = True
        await serving
    return answers


async def by_sdk(name: str, server: Any) -> dict[str, str]:
    answers = {}
    for era in ("legacy", "auto"):
        async with Client(server, mode=era) as client:
            result = await client.call_tool("contit_ask", QUESTION)
            answers[f"{name} {era}"] = result.structured_content["response"]
    return answers


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # langchain.mcp is in beta
    print(json.dumps(asyncio.run(main(sys.argv[1]))))

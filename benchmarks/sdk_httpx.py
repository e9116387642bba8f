"""A plain bridge: the SDK, one httpx client, a poll each second, no limits, no store.

`python benchmarks/sdk_httpx.py [PORT]`; stdio without one. It reads CONTIT_BASE_URL and CONTIT_API_KEY.
"""

import asyncio
import os
import sys

import httpx
from mcp.server import MCPServer

server = MCPServer("plain")
contit = httpx.AsyncClient(
    base_url=os.environ["CONTIT_BASE_URL"],
    headers={"X-Api-Key": os.environ["CONTIT_API_KEY"]},
    timeout=30,
    limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
)


async def status_of(thread_id: str, run_id: str) -> str:
    """Return Contit's word for the state of a run."""
    response = await contit.get(f"/ai-assistant/thread/{thread_id}/run/{run_id}/status")
    response.raise_for_status()
    return str(response.json()["status"])


@server.tool()
async def contit_status(thread_id: str, run_id: str) -> str:
    """Return the state of a run."""
    return await status_of(thread_id, run_id)


@server.tool()
async def contit_ask(prompt: str) -> str:
    """Ask, and wait for the answer."""
    response = await contit.post("/ai-assistant/thread", json={"threadId": None, "prompt": prompt})
    response.raise_for_status()
    started = response.json()
    while await status_of(started["threadId"], started["runId"]) == "in_progress":
        await asyncio.sleep(1)
    response = await contit.get(f"/ai-assistant/thread/{started['threadId']}/response")
    response.raise_for_status()
    return str(response.json()["response"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]), stateless_http=True)
    else:
        server.run("stdio")

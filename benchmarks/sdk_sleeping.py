"""The SDK's own cost of many calls in flight: a tool that sleeps. `python benchmarks/sdk_sleeping.py PORT SECONDS`."""

import asyncio
import sys

from mcp.server import MCPServer

server = MCPServer("sleeping")


@server.tool()
async def contit_ask(prompt: str) -> str:
    """Sleep, and answer."""
    await asyncio.sleep(float(sys.argv[2]))
    return "There are 12 published articles from March 2026; the newest is Breaking News."


if __name__ == "__main__":
    server.run("streamable-http", port=int(sys.argv[1]), stateless_http=True)

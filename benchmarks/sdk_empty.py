"""The floor: the SDK's server with a tool that does nothing. `python benchmarks/sdk_empty.py [PORT]`, or over stdio."""

import sys

from mcp.server import MCPServer

server = MCPServer("empty")


@server.tool()
async def contit_status(thread_id: str, run_id: str) -> str:
    """Return the state of a run."""
    return "in_progress"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]), stateless_http=True)
    else:
        server.run("stdio")

"""The transport of FastMCP."""

from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from given import GIVEN


def transport() -> StdioTransport | StreamableHttpTransport:
    """The way to the server."""
    if GIVEN["command"]:
        return StdioTransport(command=GIVEN["command"], args=["stdio"], env=GIVEN["env"])
    return StreamableHttpTransport(GIVEN["url"], headers=GIVEN["headers"])

"""The transport of FastMCP."""

from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from given import CHILD, PLACE


def transport() -> StdioTransport | StreamableHttpTransport:
    return StdioTransport(**CHILD) if CHILD["command"] else StreamableHttpTransport(**PLACE)

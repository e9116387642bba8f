"""The transport of the Python SDK 2.x."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
from given import GIVEN
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


def transport() -> AbstractAsyncContextManager[Any]:
    """The way to the server."""
    if GIVEN["command"]:
        return stdio_client(StdioServerParameters(command=GIVEN["command"], args=GIVEN["args"], env=GIVEN["env"]))
    http = httpx2.AsyncClient(headers=GIVEN["headers"], timeout=60)
    return streamable_http_client(GIVEN["url"], http_client=http)

"""The transport of the Python SDK 2.x."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
from given import CHILD, PLACE
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


def transport() -> AbstractAsyncContextManager[Any]:
    if CHILD["command"]:
        return stdio_client(StdioServerParameters(**CHILD))
    http = httpx2.AsyncClient(headers=PLACE["headers"], timeout=60)
    return streamable_http_client(PLACE["url"], http_client=http)

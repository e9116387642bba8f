"""An application of someone else, in which contit-mcp is mounted: once with one credential, once with another.

It runs as a child process: `python -m tests.python_api.host_application SANDBOX_URL`, and prints its port. Its own
event stream ends when the host is asked to stop, as sse-starlette does it for streams without an end.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from contit_mcp import create_app


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def ticks(_: Request) -> Response:
    async def forever() -> AsyncIterator[str]:
        while True:
            yield "tick"
            await asyncio.sleep(0.1)

    return EventSourceResponse(forever())


if __name__ == "__main__":
    anna = create_app(api_key="anna-key", base_url=sys.argv[1], store="memory")
    ben = create_app(api_key="ben-key", base_url=sys.argv[1], store="memory", card=False)
    own = [Route("/hello", hello), Route("/ticks", ticks)]
    host = Starlette(routes=[Mount("/ai", anna), Mount("/of/ben", ben), *own])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - read by the test
        uvicorn.Server(uvicorn.Config(host, log_level="warning", access_log=False)).run([listener])

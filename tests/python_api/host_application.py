"""An application in which contit-mcp is mounted twice, with two credentials, beside routes of its own.

`python -m tests.python_api.host_application SANDBOX_URL` serves it and prints its port. sse-starlette ends the endless
stream of `/ticks` when the server is asked to stop.
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

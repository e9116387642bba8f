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


def application(url: str) -> Starlette:
    """Return the host application."""
    return Starlette(
        routes=[
            Mount("/ai", create_app(api_key="anna-key", base_url=url, store="memory")),
            Mount("/of/ben", create_app(api_key="ben-key", base_url=url, store="memory", card=False)),
            Route("/hello", hello),
            Route("/ticks", ticks),
        ]
    )


def main() -> None:
    """Serve until a signal comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - read by the test
        config = uvicorn.Config(application(sys.argv[1]), log_level="warning", access_log=False)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()

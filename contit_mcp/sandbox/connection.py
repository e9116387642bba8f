"""Drops the connection of a request without answering it.

ASGI has no word for this. uvicorn hands the application a `receive` that is a bound method of its request
cycle, and the cycle holds the asyncio transport: aborting that closes the socket, so the client sees a
connection that ended without an answer, and uvicorn, once it has noticed, neither answers 500 nor logs an
error. Both of uvicorn's HTTP implementations are built that way. Without a socket (httpx.ASGITransport) or
under another server there is no transport, and `ConnectionDropped` is raised: in memory it reaches the
caller, another server makes a 500 of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive


class ConnectionDropped(ConnectionError):  # noqa: N818 - it says what happened, as ConnectionResetError's siblings do
    """The sandbox dropped the connection, as a fault ordered; seen only where there is no real connection."""


async def drop(receive: Receive) -> None:
    """Close the request's connection without an answer; raise ConnectionDropped where there is none."""
    abort = getattr(getattr(getattr(receive, "__self__", None), "transport", None), "abort", None)
    if abort is None:
        msg = "the sandbox dropped this connection"
        raise ConnectionDropped(msg)
    abort()
    while (await receive())["type"] != "http.disconnect":
        pass

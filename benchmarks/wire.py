"""Clients that cost almost nothing, so that the server is what is measured: ready-made bytes over HTTP and stdio."""

import asyncio
import json
import re
from asyncio.subprocess import Process
from typing import Any

ERAS = ("legacy", "modern")  # protocol versions with the initialize handshake, and those without it
_VERSION = {"legacy": "2025-06-18", "modern": "2026-07-28"}
_CLIENT = {"name": "benchmark", "version": "1"}


class Refused(Exception):  # noqa: N818 - what a caller sees
    """The answer is not the result of a tool that worked."""


def message(era: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON-RPC request as a client of that era writes it."""
    if era == "modern":
        params = params | {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": _VERSION[era],
                "io.modelcontextprotocol/clientInfo": _CLIENT,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def tool_call(era: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a call of a tool."""
    return message(era, "tools/call", {"name": tool, "arguments": arguments})


def checked(answer: bytes) -> bytes:
    """Return the answer, or raise `Refused`."""
    if b'"result"' not in answer or b'"isError":true' in answer:
        raise Refused(answer[:500].decode(errors="replace"))
    return answer


def ids_in(answer: bytes) -> dict[str, str]:
    """Return the two ids of a run from the answer of `contit_start`."""
    found = re.search(r'"thread_id":"([^"]+)","run_id":"([^"]+)"', answer.decode())
    if found is None:
        raise Refused(answer[:500].decode(errors="replace"))
    return {"thread_id": found[1], "run_id": found[2]}


def http_request(port: int, era: str, tool: str, arguments: dict[str, Any]) -> bytes:
    """Return the bytes of a call over Streamable HTTP."""
    body = json.dumps(tool_call(era, tool, arguments)).encode()
    lines = [
        "POST /mcp HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        f"MCP-Protocol-Version: {_VERSION[era]}",
        f"Content-Length: {len(body)}",
    ]
    if era == "modern":
        lines += ["Mcp-Method: tools/call", f"Mcp-Name: {tool}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class HttpConnection(asyncio.Protocol):
    """One connection that is kept alive; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, port: int) -> "HttpConnection":
        """Connect."""
        connection = cls(port)
        await connection.connect()
        return connection

    async def connect(self) -> None:
        """Connect, unless the connection is open: servers close connections that were idle for some seconds."""
        if self._transport is None or self._transport.is_closing():
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Add a part of the answer."""
        self._received += data
        if self._answer is not None and not self._answer.done() and self._is_whole():
            self._answer.set_result(bytes(self._received))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the answer that is awaited."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refused(f"the connection was closed: {type(exc).__name__}"))

    async def exchange(self, request: bytes) -> bytes:
        """Send a request, and return its answer or raise `Refused`."""
        await self.connect()
        assert self._transport is not None
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return checked(await self._answer)

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.abort()

    def _is_whole(self) -> bool:
        if self._received.endswith(b"\r\n0\r\n\r\n"):
            return True
        head, end, body = self._received.partition(b"\r\n\r\n")
        announced = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return bool(end and announced) and len(body) >= int(announced)


class StdioConnection:
    """A child that speaks MCP over its stdin and stdout; any number of requests at once."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._reader = asyncio.create_task(self._read())

    async def initialize(self) -> None:
        """Initialize the connection, as hosts up to 2025-11-25 do."""
        hello = {"protocolVersion": _VERSION["legacy"], "capabilities": {}, "clientInfo": _CLIENT}
        await self.exchange(message("legacy", "initialize", hello))
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def exchange(self, request: dict[str, Any]) -> bytes:
        """Send a request with an id of its own, and return its answer or raise `Refused`."""
        self._number += 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = future
        self._write(request | {"id": self._number})
        return checked(await future)

    async def close(self) -> None:
        """End the child as hosts do: by the end of its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    def _write(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            number = json.loads(line).get("id")
            if number in self._answers:
                self._answers.pop(number).set_result(line)
        for future in self._answers.values():
            future.set_exception(Refused("the child has ended"))

"""A server that does as a test tells it, in a replica's place behind nginx."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ScriptedReplica:
    """One server, which speaks just enough HTTP."""

    does: str  # "answer", "refuse" (503), "break" (closes the connection), "stream"
    requests: list[tuple[str, bytes]] = field(default_factory=list)  # heads and bodies
    more: asyncio.Event = field(default_factory=asyncio.Event)  # lets a stream go on
    left: asyncio.Event = field(default_factory=asyncio.Event)  # set when the other side has closed a stream

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((line for line in head.lower().splitlines() if line.startswith("content-length:")), ":0")
                self.requests.append((head, await reader.readexactly(int(length.split(":")[1]))))
                if self.does == "break":
                    return
                if self.does == "stream":
                    await self._stream(reader, writer)
                    return
                status, more = ("503 No", "Retry-After: 7\r\n") if self.does == "refuse" else ("200 OK", "")
                writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: 4\r\n\r\ndone".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has closed the connection
        finally:
            writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\r\n\r\n")
        await self.more.wait()
        writer.write(b"data: second\r\n\r\n")
        await reader.read()
        self.left.set()


@asynccontextmanager
async def scripted_replica(port: int, does: str) -> AsyncIterator[ScriptedReplica]:
    replica = ScriptedReplica(does)
    server = await asyncio.start_server(replica.serve, "127.0.0.1", port)
    try:
        yield replica
    finally:
        server.close()

"""uvicorn's fast HTTP protocol with an end to headers: in size and in time. Its slower one has the first by itself."""

import asyncio

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADER_BYTES = 65_536
HEADER_SECONDS = 15.0
"""From a connection's first byte of a request to the end of its headers."""


class BoundedHttpToolsProtocol(HttpToolsProtocol):
    """Gives up on a client whose headers do not end."""

    _header_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """A request begins."""
        self._header_bytes = 0
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of its target has arrived."""
        self._take(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has arrived."""
        self._take(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """They end."""
        self._stop_clock()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_clock()
        super().connection_lost(exc)

    def _take(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise httptools.HttpParserError("headers too large")

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self.transport.close()

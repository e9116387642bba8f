"""uvicorn's fast HTTP protocol with an end to every request: in time, and in bytes that are not its body.

uvicorn itself waits for ever for a client that connects and says nothing, and its parser keeps a header in
memory until it ends. Its slower protocol bounds the bytes, but not the time.
"""

import asyncio
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADER_BYTES = 65_536
"""Of a request's target and headers together. One header can be longer by what is read at once."""


class BoundedHttpToolsProtocol(HttpToolsProtocol):
    """Gives up on a client whose request does not end."""

    header_seconds: ClassVar[float] = 15.0
    """From the connection, or the first byte of a request, to the end of its headers."""
    body_seconds: ClassVar[float] = 40.0
    """From there to the end of its body. What is behind refuses slow bodies with an answer, well before."""

    _header_bytes = 0
    _bytes_without_event = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]
        self,
        transport: asyncio.Transport,  # as uvicorn has it
    ) -> None:
        """A client has connected."""
        super().connection_made(transport)
        self._give_up_after(self.header_seconds)

    def data_received(self, data: bytes) -> None:
        """Something has arrived."""
        self._bytes_without_event += len(data)
        super().data_received(data)
        if self._bytes_without_event > MOST_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("Headers too large.")
        if self._deadline is None and self._is_idle():
            self._give_up_after(
                self.header_seconds
            )  # empty lines: they have stopped uvicorn's clock, and begin nothing

    def on_message_begin(self) -> None:
        """A request begins."""
        self._header_bytes = self._bytes_without_event = 0
        self._give_up_after(self.header_seconds)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of its target has arrived."""
        self._take(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has arrived, with the spaces after its value, which are no part of it (RFC 9110, 5.5)."""
        self._take(len(name) + len(value) + 4)
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """They end."""
        self._bytes_without_event = 0
        self._give_up_after(self.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body has arrived."""
        self._bytes_without_event = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It ends."""
        self._bytes_without_event = 0
        self._stop_clock()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_clock()
        super().connection_lost(exc)

    def _take(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise httptools.HttpParserError("headers too large")

    def _is_idle(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self.timeout_keep_alive_task is None and not self.transport.is_closing()

    def _give_up_after(self, seconds: float) -> None:
        self._stop_clock()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.pipeline:
            self._give_up_after(self.body_seconds)  # it is ours to wait: what came before it is still being answered
        else:
            self.transport.close()

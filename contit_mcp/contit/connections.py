"""The connections to Contit, which are aiohttp's: for our requests, and as a transport for httpx.

httpx's own pool walks all its connections for each request, and so slows down with many in flight; docs/performance.md
has the numbers. The package httpx-aiohttp does the same as this module, but takes a connection that broke after the
request for one that never stood: a start would be sent twice.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import anyio
import httpx
from aiohttp.connector import Connection
from yarl import URL

Header = tuple[str, str]
"""Name and value."""

# From the most particular to the most general.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.SocketTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),  # raised only until the connection stands, TLS included
    (aiohttp.ClientConnectionError, httpx.NetworkError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (TimeoutError, httpx.ReadTimeout),
    (OSError, httpx.NetworkError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol),
    (aiohttp.ClientError, httpx.TransportError),
    (ValueError, httpx.LocalProtocolError),
)

_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that aiohttp would add; httpx has decided about them."""

_LONGEST_HEADER = 65_536
"""Of an answer, in bytes; gateways add long policies and cookies. aiohttp's own 8,190 would lose a run's ids to one."""


class _Connector(aiohttp.TCPConnector):
    """Uses no connection again on which something came that nobody had asked for.

    aiohttp would take it for the answer to the next request, which may be another caller's.
    """

    async def _get(self, *given: Any) -> Connection | None:
        """Not public, but the one place where an idle connection is taken."""
        while (connection := await super()._get(*given)) is not None:
            if connection.protocol is not None and not connection.protocol.should_close:
                break
            connection.close()
        return connection


@dataclass(frozen=True, slots=True)
class Received:
    """An answer, read to its end.

    Attributes:
        status_code: The HTTP status.
        headers: By name, in whatever case.
        raw_headers: As they came.
        content: As it came; `Content-Encoding` may say that it is packed.
    """

    status_code: int
    headers: Mapping[str, str]
    raw_headers: Sequence[tuple[bytes, bytes]]
    content: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300

    def response(self, request: httpx.Request | None = None) -> httpx.Response:
        """The same as httpx has it, unpacked.

        Raises:
            httpx.DecodingError: It is not packed as its headers say.
        """
        return httpx.Response(self.status_code, headers=self.raw_headers, content=self.content, request=request)


class Connections(httpx.AsyncBaseTransport):
    """Sends requests over aiohttp's connections. No redirects, no cookies, no repetition, no proxy.

    Args:
        verify: Decides about certificates.
        limits: How many connections, and how long an idle one is kept.
    """

    def __init__(self, *, verify: ssl.SSLContext | bool, limits: httpx.Limits) -> None:
        self._verify = verify
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._free = anyio.Semaphore(limits.max_connections or 100)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx, and read the whole answer."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        timeout = httpx.Timeout(**request.extensions["timeout"])
        received = await self.exchange(
            request.method, str(request.url), headers, await request.aread() or None, timeout=timeout
        )
        return received.response(request)

    async def exchange(
        self, method: str, url: str, headers: Sequence[Header], body: bytes | None, *, timeout: httpx.Timeout
    ) -> Received:
        """Send a request, and read the whole answer.

        Args:
            method: Of HTTP.
            url: Quoted where that is needed.
            headers: All but `Host` and `Content-Length`.
            body: What to send.
            timeout: In seconds; there is none for writing.

        Raises:
            httpx.TransportError: The kind says what happened, and whether the request can have been sent.
        """
        if self._closed:
            raise httpx.ConnectError("the client is closed")
        await self._turn(timeout.pool)
        try:
            return await self._exchange(method, url, headers, body, timeout)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            kind = next(ours for theirs, ours in _ERRORS if isinstance(exc, theirs))
            raise kind(type(exc).__name__) from exc
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Close the connections. No request is sent any more."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    async def _turn(self, seconds: float | None) -> None:
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            try:
                with anyio.fail_after(seconds):
                    await self._free.acquire()
            except TimeoutError as exc:
                raise httpx.PoolTimeout("no connection was free") from exc

    async def _exchange(
        self, method: str, url: str, headers: Sequence[Header], body: bytes | None, timeout: httpx.Timeout
    ) -> Received:
        async with self._opened().request(
            method,
            URL(url, encoded=True),  # its ids are quoted already, and stay so
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                connect=timeout.connect, sock_connect=timeout.connect, sock_read=timeout.read
            ),
        ) as response:
            return Received(response.status, response.headers, response.raw_headers, await response.read())

    def _opened(self) -> aiohttp.ClientSession:
        """At the first request: it needs the event loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(ssl=self._verify, limit=0, keepalive_timeout=self._limits.keepalive_expiry or 0),
                cookie_jar=aiohttp.DummyCookieJar(),  # no caller's cookie goes with another's request
                auto_decompress=False,
                skip_auto_headers=_OURS,
                trust_env=False,
                max_line_size=_LONGEST_HEADER,
                max_field_size=_LONGEST_HEADER,
            )
            self._session._retry_connection = False  # noqa: SLF001 - what is repeated is decided by `retries` alone
        return self._session

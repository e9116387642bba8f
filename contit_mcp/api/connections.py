"""The connections to Contit: a transport for httpx on those of aiohttp.

httpx's own pool walks all its connections for each request, and so slows down with many in flight; docs/performance.md
has the numbers. The package httpx-aiohttp does the same as this module, but takes a connection that broke after the
request for one that never stood: a start would be sent twice.
"""

import ssl
from typing import Any, Self

import aiohttp
import anyio
import httpx
from aiohttp.connector import Connection
from yarl import URL

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


class Connections(httpx.AsyncBaseTransport):
    """Sends httpx's requests over aiohttp's connections. No redirects, no cookies, no repetition, no proxy.

    Args:
        verify: Decides about certificates.
        limits: How many connections, and how long an idle one is kept.
    """

    def __init__(self, *, verify: ssl.SSLContext | bool, limits: httpx.Limits) -> None:
        self._verify = verify
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None
        self._free = anyio.Semaphore(limits.max_connections or 100)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read the whole answer."""
        timeout = request.extensions["timeout"]
        await self._turn(timeout["pool"])
        try:
            return await self._exchange(request, timeout["connect"], timeout["read"])
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            kind = next(ours for theirs, ours in _ERRORS if isinstance(exc, theirs))
            raise kind(type(exc).__name__, request=request) from exc
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Close the connections."""
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

    async def _exchange(self, request: httpx.Request, connect: float | None, read: float | None) -> httpx.Response:
        async with self._opened().request(
            request.method,
            URL(str(request.url), encoded=True),  # its ids are quoted already, and stay so
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            data=await request.aread() or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(connect=connect, sock_connect=connect, sock_read=read),
        ) as response:
            body = await response.read()
            return httpx.Response(response.status, headers=response.raw_headers, content=body, request=request)

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

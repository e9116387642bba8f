"""The one HTTP client: httpx's, over aiohttp's connections (docs/architecture.md, decision 5).

It bounds bodies and counts requests.
"""

import ssl
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx
import truststore
from aiohttp.connector import Connection

from contit_mcp import __version__, errors
from contit_mcp.config.proxies import environment_proxies
from contit_mcp.config.values import LOOPBACK
from contit_mcp.telemetry.call_stats import CANCELLED, NO_RESPONSE, POOL, current_call_stats

ENDPOINT = "contit_mcp_endpoint"  # the httpx extension that names a request's endpoint, by which it is counted
_SENT_AT = "contit_mcp_sent_at"


@dataclass(frozen=True, slots=True)
class TransportPolicy:
    """Timeouts in seconds, and limits, of one HTTP client."""

    connect: float = 10.0  # TLS included
    read: float = 30.0  # without a byte from the server
    write: float = 30.0  # without a byte taken by a proxy; a direct connection has only the limit of its call
    pool: float = 5.0  # with `connect` under the 20 s of a start: one that times out here is known not to be sent
    connections: int = 100
    keep_alive: float = 20.0  # under the 60 s of load balancers: a start on a connection they close may or may not run
    body_bytes: int = 8 * 1024 * 1024  # compressed and decompressed


def build_http_client(
    base_url: str,
    *,
    policy: TransportPolicy | None = None,
    ca_file: Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Return a client with bounded bodies, no redirects, no cookies, and the proxies of the environment.

    `transport` replaces aiohttp and the proxies. Raises ConfigurationError for an unusable CA file or address.
    """
    policy = policy or TransportPolicy()
    try:
        address = httpx.URL(base_url)
    except httpx.InvalidURL:  # its text quotes the address
        raise errors.ConfigurationError("Contit's address is not a valid URL.", hint="Check CONTIT_BASE_URL.") from None
    mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
    if transport is None:
        verify = _tls_context(ca_file)
        limits = httpx.Limits(max_connections=policy.connections, keepalive_expiry=policy.keep_alive)
        transport = AiohttpTransport(verify, policy)
        for pattern, proxy in environment_proxies()[0].items():  # the command line says which entries are ignored
            mounts[pattern] = httpx.AsyncHTTPTransport(verify=verify, limits=limits, proxy=proxy) if proxy else None
        # Requests to this machine may be plain http, so they never go through a proxy.
        mounts |= {f"all://{f'[{host}]' if ':' in host else host}": None for host in LOOPBACK}
    return httpx.AsyncClient(
        base_url=address,
        transport=transport,
        mounts=mounts,
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # or one caller's cookies would reach the next one
        headers={
            "User-Agent": f"contit-mcp/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        timeout=httpx.Timeout(connect=policy.connect, read=policy.read, write=policy.write, pool=policy.pool),
        event_hooks={"request": [_note_sent_at], "response": [_body_reader(policy.body_bytes)]},
    )


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ValueError) as exc:
            # OpenSSL's own words are about its internals; a ValueError is about a path that no file can have.
            reason = "it holds no PEM certificate" if isinstance(exc, ssl.SSLError | ValueError) else exc.strerror
            raise errors.ConfigurationError(
                f"The CA file {ca_file} cannot be used: {reason}.",
                hint="Set CONTIT_CA_FILE to a readable PEM file.",
            ) from exc
    return context


# --- One request -------------------------------------------------------------------------------------------------


async def send(http: httpx.AsyncClient, request: httpx.Request, *, auth: httpx.Auth | None = None) -> httpx.Response:
    """Send a request that names its `ENDPOINT`, count it, and return the response with its body.

    Raises APIError if no response came or its body could not be read. Statuses are left to `wire.parse`.
    """
    try:
        return await http.send(request, auth=auth)
    except HTTPX_ERRORS as exc:
        _count(request, POOL if isinstance(exc, httpx.PoolTimeout) else NO_RESPONSE)
        raise translate(exc) from exc
    except anyio.get_cancelled_exc_class():
        _count(request, CANCELLED)
        raise


async def _note_sent_at(request: httpx.Request) -> None:
    request.extensions[_SENT_AT] = anyio.current_time()


def _count(request: httpx.Request, status: str) -> None:
    endpoint, sent_at = request.extensions.get(ENDPOINT), request.extensions.pop(_SENT_AT, None)
    if endpoint is not None and sent_at is not None:  # without a time it was not sent: there was no token for it
        current_call_stats().count_request(endpoint, status, anyio.current_time() - sent_at)


class BodyTooLargeError(httpx.DecodingError):
    """A body is larger than the limit, compressed or decompressed."""


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise BodyTooLargeError(f"a body is larger than {most} bytes")


async def _collect(chunks: AsyncIterable[bytes], most: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        _check_size(len(body), most)
    return bytes(body)


def _body_reader(most: int) -> Callable[[httpx.Response], Awaitable[None]]:
    """Return a hook that reads every body up to a limit, before httpx or an `httpx.Auth` reads it without one."""

    def decompressed(body: bytes, headers: httpx.Headers) -> bytes:
        """Undo a content coding. None was requested, but a gateway may compress all that passes it."""
        coding = headers.pop("Content-Encoding", "identity").strip().lower()
        if coding in {"", "identity"} or not body:
            return body
        if coding not in {"gzip", "x-gzip", "deflate"}:
            raise httpx.DecodingError("the body has an unknown content coding")
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as its first bytes say
        try:
            inflated = inflater.decompress(body, most + 1)
        except zlib.error as exc:
            raise httpx.DecodingError("the body is not compressed as its header says") from exc
        _check_size(len(inflated), most)
        if not inflater.eof:
            raise httpx.DecodingError("the compressed body is incomplete")
        return inflated

    async def read(response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - the client is asynchronous
        body = await _collect(response.stream, most)
        await response.stream.aclose()
        response.stream = httpx.ByteStream(decompressed(body, response.headers))
        _count(response.request, str(response.status_code))

    return read


# --- Connections -------------------------------------------------------------------------------------------------

_NOT_ADDED_BY_AIOHTTP = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")  # httpx sets those needed
_LONGEST_HEADER = 65_536  # bytes; gateways add long policies, and at aiohttp's 8,190 a response with ids would be lost
_MOST_UNUSABLE = 100  # connections that a request finds unusable before it fails


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends httpx's requests over aiohttp's connections, without redirects, cookies, retries or proxies."""

    def __init__(self, verify: ssl.SSLContext, policy: TransportPolicy) -> None:
        self._verify = verify
        self._policy = policy
        self._free = anyio.Semaphore(policy.connections, fast_acquire=True)  # no checkpoint: the request has one

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response with its body, which is bounded."""
        if self._session.closed:
            raise httpx.ConnectError("the client is closed")
        timeout = request.extensions["timeout"]
        content = await request.aread()
        began = anyio.current_time()
        try:
            if self._free.value:
                self._free.acquire_nowait()
            else:
                with anyio.fail_after(timeout["pool"]):
                    await self._free.acquire()
        except TimeoutError as exc:
            raise httpx.PoolTimeout("no connection was free") from exc
        await _note_sent_at(request)  # so that the wait for a connection of our own does not count as Contit's time
        current_call_stats().listener.on_connection(anyio.current_time() - began)
        try:
            response = await self._session.request(
                request.method,
                str(request.url),
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
                data=content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=timeout["connect"], sock_connect=timeout["connect"], sock_read=timeout["read"]
                ),
            )
            try:
                body = await _collect(response.content.iter_any(), self._policy.body_bytes)
            except (aiohttp.ClientError, OSError, ValueError) as exc:
                raise _after_sending(exc) from exc
            finally:
                response.close()  # without effect on a connection whose response was read to its end
        except (aiohttp.ClientError, ValueError) as exc:  # about the URL or a header; others are httpx's
            raise httpx.UnsupportedProtocol(type(exc).__name__) from exc
        finally:
            self._free.release()
        return httpx.Response(response.status, headers=list(response.raw_headers), stream=httpx.ByteStream(body))

    async def aclose(self) -> None:
        """Close the connections. Later requests raise ConnectError."""
        await self._session.close()

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        """The session, made at the first request because it needs the event loop."""
        return aiohttp.ClientSession(
            connector=_Connector(ssl=self._verify, limit=0, keepalive_timeout=self._policy.keep_alive),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED_BY_AIOHTTP,
            trust_env=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            middlewares=(_as_httpx_errors,),
        )


class _Connector(aiohttp.TCPConnector):
    """Raises httpx's errors for all that fails before a request is sent, and reuses no connection with unread data.

    Such data would be taken for the response to the next request, which may be another caller's.
    """

    async def connect(self, *given: Any, **named: Any) -> Connection:
        try:
            for _ in range(_MOST_UNUSABLE):
                connection = await super().connect(*given, **named)
                if connection.protocol is not None and not connection.protocol.should_close:
                    return connection
                connection.close()
        except TimeoutError as exc:
            raise httpx.ConnectTimeout(type(exc).__name__) from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # ValueError: a host name that cannot be encoded
            raise httpx.ConnectError(type(exc).__name__) from exc
        raise httpx.ConnectError("no connection was usable")


async def _as_httpx_errors(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Raise httpx's errors for a request that was sent, so that aiohttp does not repeat it: only `retries` does."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        raise _after_sending(exc) from exc


def _after_sending(error: Exception) -> httpx.TransportError:
    """Return httpx's error for one of aiohttp's that was raised after the connection was made."""
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout(type(error).__name__)
    if isinstance(error, OSError | aiohttp.ClientConnectionError):
        return httpx.ReadError(type(error).__name__)
    return httpx.RemoteProtocolError(type(error).__name__)


# --- Errors ------------------------------------------------------------------------------------------------------

_LATER = "Try again in a little while; contit-mcp check tells whether Contit can be reached."
_CONFIGURED = "Check CONTIT_BASE_URL and the proxy settings; contit-mcp check tells more."

# From the most particular to the most general: (httpx's class, what happened, could Contit have the request?, hint)
_CONNECTION_ERRORS: tuple[tuple[type[Exception], str, bool, str], ...] = (
    (httpx.ConnectTimeout, "Contit could not be reached in time.", False, _LATER),
    (httpx.PoolTimeout, "Too many requests to Contit are in flight in this process.", False, _LATER),
    (httpx.TimeoutException, "Contit did not answer in time.", True, _LATER),
    (httpx.ConnectError, "Contit could not be reached.", False, _LATER),
    (httpx.ProxyError, "The proxy refused to connect to Contit.", False, _CONFIGURED),
    (httpx.UnsupportedProtocol, "Contit's address is not one that HTTP can reach.", False, _CONFIGURED),
    (httpx.InvalidURL, "Contit's address is not a valid URL.", False, _CONFIGURED),
    (httpx.ProtocolError, "Contit, or something between it and us, did not speak proper HTTP.", True, _LATER),
    (httpx.TransportError, "The connection to Contit broke.", True, _LATER),
)


def translate(error: Exception) -> errors.APIError:
    """Return our error for one of httpx's. It does not quote httpx's text, which can contain addresses."""
    if isinstance(error, httpx.ConnectError) and _distrusts_certificate(error):
        return errors.APIConnectionError(
            "The TLS certificate of Contit, or of a proxy in front of it, is not trusted.",
            hint="If a proxy or firewall of yours inspects TLS, set CONTIT_CA_FILE to its certificate authority.",
            may_have_arrived=False,
        )
    for kind, message, may_have_arrived, hint in _CONNECTION_ERRORS:
        if isinstance(error, kind):
            ours = errors.APITimeoutError if isinstance(error, httpx.TimeoutException) else errors.APIConnectionError
            return ours(message, hint=hint, may_have_arrived=may_have_arrived)
    if isinstance(error, BodyTooLargeError):
        too_large = errors.APIResponseValidationError(
            "Contit's response is too large to be read.",
            hint="Ask for less at a time, or raise CONTIT_MCP_UPSTREAM_BODY_BYTES.",
        )
        too_large.retryable = False  # it would be as large again
        return too_large
    return errors.APIResponseValidationError("Contit's response could not be read.", hint=_LATER)


def _distrusts_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""All that httpx raises, to be caught and given to `translate`."""

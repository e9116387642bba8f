"""The HTTP client to Contit, and the one place where its transport errors become ours."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import truststore

from contit_mcp import __version__
from contit_mcp.config.settings_urls import LOOPBACK
from contit_mcp.contit.connections import Connections
from contit_mcp.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    ConfigurationError,
)
from contit_mcp.telemetry.call_stats import current_tally


@dataclass(frozen=True, slots=True)
class TransportPolicy:
    """Timeouts in seconds, and limits, of the connections to Contit.

    Attributes:
        connect: To connect, TLS included.
        read: Without a byte from Contit. Starting a run is a short request: the work happens after it.
        write: Without a proxy taking a byte. aiohttp has no such limit: without a proxy a call's own time is its bound.
        pool: Until one of our own connections is free. With `connect` under the 20 s of a start, so that one that was
            never sent is known to be so.
        connections: Open at once.
        keep_alive: How long an idle connection is kept. Under the 60 s at which load balancers commonly close
            one, since a start sent into a closing connection ends as "state unknown".
    """

    connect: float = 10.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 5.0
    connections: int = 100
    keep_alive: float = 20.0


def build_http_client(
    base_url: str,
    *,
    policy: TransportPolicy | None = None,
    ca_file: Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    streams: bool = False,
) -> httpx.AsyncClient:
    """Return the client: no redirects, no cookies, the operating system's trust store, proxies from the environment.

    Args:
        base_url: Where Contit is.
        policy: Timeouts and limits.
        ca_file: PEM file of further certificate authorities to trust.
        transport: Stands in for the network in tests.
        streams: Whether answers are read piece by piece; `Connections` gives them whole, however long they are.

    Raises:
        ConfigurationError: The CA file, the address, or a proxy that the environment names cannot be used.
    """
    policy = policy or TransportPolicy()
    verify = _tls_context(ca_file) if transport is None else True
    address = _parsed(base_url)
    try:
        return (httpx.AsyncClient if streams else _Client)(
            base_url=address,
            transport=transport,
            verify=verify,
            # Plain http is for this machine only, so what is on this machine is never asked through a proxy.
            mounts={f"all://{f'[{host}]' if ':' in host else host}": None for host in LOOPBACK},
            follow_redirects=False,
            headers={"User-Agent": f"contit-mcp/{__version__}", "Accept": "application/json"},
            timeout=httpx.Timeout(connect=policy.connect, read=policy.read, write=policy.write, pool=policy.pool),
            limits=httpx.Limits(
                max_connections=policy.connections,
                max_keepalive_connections=policy.connections,
                keepalive_expiry=policy.keep_alive,
            ),
            event_hooks={"request": [_count_request], "response": [_count_status]},
        )
    except (httpx.InvalidURL, ValueError):
        problem = "is not a URL like http://proxy.example:3128"
    except ImportError:
        problem = "is a SOCKS proxy, which needs the package socksio"
    # Not chained: the address of a proxy can hold its password.
    raise ConfigurationError(
        f"A proxy that the environment names cannot be used: it {problem}.",
        hint="Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY; NO_PROXY can name Contit's host.",
    )


class _NoCookies(httpx.Cookies):
    """A cookie of one caller must not travel with the next one's request; a jar would also look at every answer."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none."""

    def set_cookie_header(self, request: httpx.Request) -> None:
        """Send none."""


class _Client(httpx.AsyncClient):
    """Goes through proxies by httpx's own connections, and elsewhere by faster ones."""

    @property
    def cookies(self) -> httpx.Cookies:
        """None, ever."""
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        """Nothing is kept."""

    def _init_transport(self, *_: Any, **given: Any) -> httpx.AsyncBaseTransport:
        """Not public; but a transport given in public would put the environment's proxies out of force."""
        transport: httpx.AsyncBaseTransport | None = given["transport"]
        return transport or Connections(verify=given["verify"], limits=given["limits"])


_NO_COOKIES = _NoCookies()


def straight_connections(http: httpx.AsyncClient) -> Connections | None:
    """What a client's requests to its base go over, where neither a proxy nor a test stands between."""
    transport = http._transport_for_url(http.base_url)  # noqa: SLF001 - what knows of the environment's proxies
    return transport if isinstance(transport, Connections) else None


def _parsed(base_url: str) -> httpx.URL:
    try:
        return httpx.URL(base_url)
    except httpx.InvalidURL:
        pass  # not chained: its text quotes the address
    raise ConfigurationError("Contit's address is not a valid URL.", hint="Check CONTIT_BASE_URL.")


async def _count_request(_: httpx.Request) -> None:
    current_tally().requests += 1


async def _count_status(response: httpx.Response) -> None:
    current_tally().statuses[str(response.status_code)] += 1


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ValueError) as exc:
            # OpenSSL's own words are about its internals; a ValueError is about a path that cannot be one.
            readable = isinstance(exc, ssl.SSLError) or not isinstance(exc, OSError)
            reason = "it holds no PEM certificate" if readable else str(getattr(exc, "strerror", None))
            raise ConfigurationError(
                f"The CA file {ca_file} cannot be used: {reason}.",
                hint="Set CONTIT_CA_FILE to a readable PEM file.",
            ) from exc
    return context


_LATER = "Try again in a little while; contit-mcp check tells whether Contit can be reached."
_CONFIGURED = "Check CONTIT_BASE_URL and the proxy settings; contit-mcp check tells more."

# From the most particular to the most general: (httpx's class, what happened, could Contit have the request?)
_CONNECTION_ERRORS: tuple[tuple[type[Exception], str, bool, str], ...] = (
    (httpx.ConnectTimeout, "Contit could not be reached in time.", False, _LATER),
    (httpx.PoolTimeout, "Too many requests to Contit are under way here.", False, _LATER),
    (httpx.ReadTimeout, "Contit did not answer in time.", True, _LATER),
    (httpx.WriteTimeout, "Contit did not take the request in time.", True, _LATER),
    (httpx.TimeoutException, "Contit took too long.", True, _LATER),
    (httpx.ConnectError, "Contit could not be reached.", False, _LATER),
    (httpx.ProxyError, "The proxy refused to connect to Contit.", False, _CONFIGURED),
    (httpx.UnsupportedProtocol, "Contit's address is not one that HTTP can reach.", False, _CONFIGURED),
    (httpx.InvalidURL, "Contit's address is not a valid URL.", False, _CONFIGURED),
    (httpx.NetworkError, "The connection to Contit broke.", True, _LATER),
    (httpx.ProtocolError, "Contit, or something before it, did not speak proper HTTP.", True, _LATER),
    (httpx.TransportError, "The exchange with Contit failed.", True, _LATER),
)


def translate(error: Exception) -> APIError:
    """Our error for one of httpx's. Texts are ours: httpx's can hold addresses."""
    if isinstance(error, httpx.ConnectError) and _distrusts_certificate(error):
        return APIConnectionError(
            "The certificate of Contit, or of something before it, is not trusted here.",
            hint="If a proxy or firewall of yours inspects TLS, set CONTIT_CA_FILE to its certificate authority.",
            may_have_arrived=False,
        )
    for kind, message, may_have_arrived, hint in _CONNECTION_ERRORS:
        if isinstance(error, kind):
            ours = APITimeoutError if isinstance(error, httpx.TimeoutException) else APIConnectionError
            return ours(message, hint=hint, may_have_arrived=may_have_arrived)
    return APIResponseValidationError("Contit's answer could not be read.", hint=_LATER)


def _distrusts_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""Everything httpx raises, for the `except` beside `translate`."""

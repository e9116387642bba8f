"""Why Contit could not be reached, told apart as far as the operating system and httpx tell."""

import errno
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from contit_mcp.config.settings_urls import LOOPBACK, address_of

_PROXY_HINT = "Check HTTPS_PROXY and ALL_PROXY, or name Contit's host in NO_PROXY if it needs no proxy."
_ADDRESS_HINT = "Check CONTIT_BASE_URL, and whether this machine is online; behind a proxy, set HTTPS_PROXY."
_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})


def proxy_for(base_url: str) -> str | None:
    """The proxy on the way to Contit, without the user and password that its address may hold."""
    address = urlsplit(base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    host = address.hostname or ""
    if not proxy or host in LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{address_of(proxy)}"


def explain_connection(error: Exception, base_url: str) -> tuple[str, str]:
    """What went wrong on the way, and what to do. Nothing of httpx's texts, which can hold addresses."""
    causes = list(_causes(error))
    host, proxy = urlsplit(base_url).netloc, proxy_for(base_url)
    if problem := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
        return _explain_tls(problem, host)
    if isinstance(error, httpx.ProxyError):
        if any(str(cause).startswith("407") for cause in causes):
            return f"the proxy {proxy} wants a user and password (407)", _PROXY_HINT
        return f"the proxy {proxy} refused to connect to {host}", _PROXY_HINT
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        whom, hint = (host, _ADDRESS_HINT) if proxy is None else (f"the proxy {proxy}", _PROXY_HINT)
        return _unreachable(error, causes, whom), hint
    if isinstance(error, httpx.TimeoutException):
        return f"{host} took the connection and did not answer in time", _ADDRESS_HINT
    return f"the connection to {host} broke, or something there does not speak HTTP", _ADDRESS_HINT


def _explain_tls(error: ssl.SSLError, host: str) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {host}, or of something before it, is not trusted here",
            "If a proxy or firewall of yours inspects TLS, set CONTIT_CA_FILE to its certificate authority.",
        )
    return f"{host} does not speak TLS as it should", "Check the port and the https:// of CONTIT_BASE_URL."


def _unreachable(error: Exception, causes: list[BaseException], whom: str) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"{whom} did not take the connection in time"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"the name of {whom} does not resolve"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{whom} refused the connection: nothing listens there"
    if any(isinstance(cause, OSError) and cause.errno in _NO_ROUTE for cause in causes):
        return f"there is no route to {whom}"
    return f"{whom} could not be reached"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what lies below it, through groups of several attempts too."""
    if error is None:
        return
    yield error
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _causes(part)
    yield from _causes(error.__cause__ or error.__context__)

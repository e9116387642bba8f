"""The checks of Contit, of the credential and of the network on the way, for `contit-mcp check` and `install`.

Contit is asked for the status of a made-up run, so nothing is started. It answers 401 to the first request, which has
no credential. Only then is the credential sent; a 404 means that it is good. So an address that does not ask for a
credential never gets it, and one that answers 404 to everything does not count as Contit.
"""

import contextlib
import os
import socket
import ssl
import urllib.request
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import anyio
import httpx

from contit_mcp.cli.options import credential_name, no_credential
from contit_mcp.cli.terminal import as_printed
from contit_mcp.config.proxies import environment_proxies
from contit_mcp.config.settings import Settings
from contit_mcp.config.values import LOOPBACK, address_of
from contit_mcp.contit.auth import Credential
from contit_mcp.contit.transport import HTTPX_ERRORS, TransportPolicy, build_http_client
from contit_mcp.contit.wire import STATUS, path_of
from contit_mcp.errors import ContitError
from contit_mcp.server.services import configured_credential


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one thing, in one line without a secret; `good` is None for plain information."""

    subject: str
    verdict: str
    good: bool | None = None
    hint: str | None = None

    def lines(self) -> str:
        """Return the lines that people read."""
        mark = {True: "ok  ", False: "FAIL", None: "    "}[self.good]
        line = f"{mark} {self.subject}: {self.verdict}"
        return line if self.hint is None else f"{line}\n     hint: {as_printed(self.hint)}"


def bad(subject: str, verdict: str, hint: str | None) -> Finding:
    """Return the finding that something is wrong."""
    return Finding(subject, verdict, good=False, hint=hint)


def failed(subject: str, error: ContitError) -> Finding:
    """Return the finding for one of our errors about a subject."""
    return bad(subject, error.message, error.hint)


_MADE_UP = "contit-mcp-check"
_REFUSED = "Contit refuses it (401)"
_PATIENCE = TransportPolicy(connect=10.0, read=10.0, write=10.0)
_WRONG_ADDRESS = "Set CONTIT_BASE_URL to where Contit's API is; without it, that is https://api.contit.cloud."
_NEW_KEY = "contit-mcp install HOST --new-key"

_WITHOUT_CREDENTIAL: dict[int, tuple[str, str | None]] = {  # by status: what it means, and what to do
    401: ("it answers, and wants a credential", None),
    404: ("something answers 404 to every request; it is not Contit's API", _WRONG_ADDRESS),
    403: (
        "something refuses even to look at a credential (403)",
        "A firewall or gateway refuses it, or CONTIT_BASE_URL is wrong: ask who runs the network.",
    ),
    407: ("a proxy wants a user and password (407)", "Put them into HTTPS_PROXY."),
}
_WITH_CREDENTIAL: dict[int, tuple[str, str | None]] = {
    404: ("it is good", None),
    401: (_REFUSED, f"It is mistyped, expired, revoked, or of another kind. Correct it there, or: {_NEW_KEY}"),
    403: ("Contit knows it, and it may not use the AI assistant (403)", "Give it the ReadAccess policy in Contit."),
}


async def check_contit(settings: Settings) -> list[Finding]:
    """Ask Contit, without the credential and with it, and report what its answers mean."""
    contit = await _asked(settings, None, f"Contit at {settings.base_url}")
    name = credential_name(settings)
    if name is None:
        own = Finding("Credential", "none here; CONTIT_MCP_AUTH is caller, so each caller sends its own")
        return [contit, own if settings.auth == "caller" else failed("Credential", no_credential())]
    try:
        auth = configured_credential(settings)
        auth.identity()  # raises if its file cannot be read, even if it is not tried below
    except ContitError as error:
        return [contit, bad("Credential", f"{name}. {error.message}", f"{error.hint} Or: {_NEW_KEY}")]
    async with contextlib.aclosing(auth):
        if not contit.good:
            return [contit, Finding("Credential", f"{name}; not tried, since it is sent to Contit only")]
        tried = await _asked(settings, auth, "Credential")
        return [contit, replace(tried, verdict=f"{name}; {tried.verdict}")]


async def try_credential(settings: Settings) -> tuple[str, bool]:
    """Return what Contit says about the credential, for people, and whether Contit refuses it."""
    contit, credential = await check_contit(settings)
    if not contit.good:
        return f"The key was not tried. {contit.subject}: {contit.verdict}.", False
    said = "Contit accepts the key." if credential.good else f"The key: {credential.verdict}. {credential.hint}"
    return said, credential.good is False and _REFUSED in credential.verdict


async def _asked(settings: Settings, auth: Credential | None, subject: str) -> Finding:
    url = settings.base_url.rstrip("/") + path_of(STATUS, _MADE_UP, _MADE_UP)
    try:
        async with build_http_client(settings.base_url, policy=_PATIENCE, ca_file=settings.ca_file) as http:
            with anyio.fail_after(30):
                status = (await http.get(url, auth=auth)).status_code
    except ContitError as error:
        return failed(subject, error)
    except (TimeoutError, *HTTPX_ERRORS) as error:
        return bad(subject, *explain_connection(error, settings.base_url))
    meanings, good = (_WITHOUT_CREDENTIAL, 401) if auth is None else (_WITH_CREDENTIAL, 404)
    if status == 429 or status >= 500:
        other = f"it, or something before it, cannot answer now (HTTP {status})", "Try again in a little while."
    else:
        other = f"the answer is HTTP {status}, which Contit does not give: it is not Contit's API", _WRONG_ADDRESS
    verdict, hint = meanings.get(status, other)
    return Finding(subject, verdict, good=status == good, hint=hint)


_PROXY_HINT = "Check HTTPS_PROXY and ALL_PROXY, or name Contit's host in NO_PROXY if it needs no proxy."
_ADDRESS_HINT = "Check CONTIT_BASE_URL, and whether this machine is online; behind a proxy, set HTTPS_PROXY."


def proxy_for(base_url: str) -> str | None:
    """Return the proxy on the way to Contit, without the user and password that its address may hold."""
    address = urlsplit(base_url)
    if address.hostname in LOOPBACK:
        return None
    mounts, _ = environment_proxies()
    proxy = mounts.get(f"{address.scheme}://") or mounts.get("all://")
    if proxy is None or urllib.request.proxy_bypass(address.hostname or ""):
        return None
    return f"{urlsplit(proxy).scheme}://{address_of(proxy)}"


def check_way(settings: Settings) -> list[Finding]:
    """Report the proxy, the variables about proxies that are ignored, and which certificate authorities are trusted."""
    ignored = "".join(f"; ignored: {problem}" for problem in environment_proxies()[1])
    given = f" (SSL_CERT_FILE: {file})" if (file := os.environ.get("SSL_CERT_FILE")) else ""
    own = f" and {settings.ca_file}" if settings.ca_file else ""
    return [
        Finding("Proxy", f"{proxy_for(settings.base_url) or 'none'}{ignored}"),
        Finding("Certificate authorities", f"the operating system's{given}{own}"),
    ]


def explain_connection(error: Exception, base_url: str) -> tuple[str, str]:
    """Return what went wrong on the way, and what to do. It quotes no text of httpx, which can hold addresses."""
    causes = _causes(error)
    host, proxy = urlsplit(base_url).netloc, proxy_for(base_url)
    next_stop, hint = (host, _ADDRESS_HINT) if proxy is None else (f"the proxy {proxy}", _PROXY_HINT)
    wants_password = any(str(cause).startswith("407") for cause in causes)
    refusal = "wants a user and password (407)" if wants_password else f"refused to connect to {host}"
    explanations: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...] = (
        (
            ssl.SSLCertVerificationError,
            f"the TLS certificate of {host}, or of a proxy in front of it, is not trusted",
            "If a proxy or firewall of yours inspects TLS, set CONTIT_CA_FILE to its certificate authority.",
        ),
        (ssl.SSLError, f"{host} does not speak TLS as it should", "Check the port and https:// of CONTIT_BASE_URL."),
        (httpx.ProxyError, f"the proxy {proxy} {refusal}", _PROXY_HINT),
        (socket.gaierror, f"the name of {next_stop} does not resolve", hint),
        (ConnectionRefusedError, f"{next_stop} refused the connection: nothing listens there", hint),
        (httpx.ConnectError, f"{next_stop} could not be reached", hint),
        (httpx.ConnectTimeout, f"{next_stop} did not take the connection in time", hint),
        ((TimeoutError, httpx.TimeoutException), f"{host} did not answer in time", _ADDRESS_HINT),
        (Exception, f"the connection to {host} broke, or something there does not speak HTTP", _ADDRESS_HINT),
    )
    return next((verdict, advice) for kind, verdict, advice in explanations if any(isinstance(e, kind) for e in causes))


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what caused it, through groups of several attempts too; causes can form a circle."""
    found = [error]
    for each in found:  # which grows meanwhile
        below = (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
        found += [cause for cause in below if cause is not None and cause not in found]
    return found

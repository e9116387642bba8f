"""What `contit-mcp check` finds out about Contit, its credential and the way there; `install` tries a key by it too.

Contit is asked for the status of a made-up run, so nothing is started: first without the credential, where Contit says
401, and only when it did, with it, where 404 says that the credential is good. An address that is not Contit's never
gets the credential, and one that answers 404 to everything does not count as Contit.
"""

import errno
import os
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
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
from contit_mcp.contit.wire import status_path
from contit_mcp.errors import ContitError
from contit_mcp.server.services import configured_credential


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: The thing.
        verdict: Its state, in one line; no part of a secret.
        good: Whether that is as it should be; None for plain information.
        hint: What to do if it is not.
    """

    subject: str
    verdict: str
    good: bool | None = None
    hint: str | None = None

    def lines(self) -> str:
        """Return it for people."""
        mark = {True: "ok  ", False: "FAIL", None: "    "}[self.good]
        line = f"{mark} {self.subject}: {self.verdict}"
        return line if self.hint is None else f"{line}\n     hint: {as_printed(self.hint)}"


def bad(subject: str, verdict: str, hint: str | None) -> Finding:
    """Return the finding that something is wrong."""
    return Finding(subject, verdict, good=False, hint=hint)


def failed(subject: str, error: ContitError, *, about: str = "") -> Finding:
    """Return the finding that one of our errors makes of a subject."""
    return bad(subject, about + error.message, error.hint)


# --- Contit and its credential

_MADE_UP = "contit-mcp-check"
_REFUSED = "Contit refuses it (401)"
_PATIENCE = TransportPolicy(connect=10.0, read=10.0, write=10.0)
_SECONDS = 30.0
"""For one request, however slowly its bytes come."""

_WRONG_ADDRESS = "Set CONTIT_BASE_URL to where Contit's API is; without it, that is https://api.contit.cloud."
_LATER = "Try again in a little while."

_THEIR_OWN = Finding("Credential", "none here; CONTIT_MCP_AUTH is caller, so each caller sends its own")


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    is_json: bool


async def check_contit(settings: Settings) -> list[Finding]:
    """Ask Contit, without the credential and with it, and report what its answers mean."""
    contit = await _ask_without(settings)
    name = credential_name(settings)
    if name is None:
        return [contit, _THEIR_OWN if settings.auth == "caller" else failed("Credential", no_credential())]
    try:
        auth = configured_credential(settings)
        auth.identity()  # a file that cannot be read says so also where the credential is not tried
    except ContitError as error:
        return [contit, failed("Credential", error, about=f"{name}: ")]
    try:
        not_tried = Finding("Credential", f"{name}; not tried, since it is sent to Contit only")
        return [contit, await _ask_with(settings, auth, name) if contit.good else not_tried]
    finally:
        await auth.aclose()


async def try_credential(settings: Settings) -> tuple[str, bool]:
    """Return what Contit says about the credential, in one line, and whether it refuses it."""
    contit, credential = await check_contit(settings)
    if not contit.good:
        return f"not tried: {contit.subject}: {contit.verdict}", False
    return credential.verdict, credential.good is False and _REFUSED in credential.verdict


async def _ask_without(settings: Settings) -> Finding:
    subject = f"Contit at {settings.base_url}"
    try:
        answer = await _ask(settings, auth=None)
    except ContitError as error:
        return failed(subject, error)
    except HTTPX_ERRORS as error:
        return bad(subject, *explain_connection(error, settings.base_url))
    meaning, remedy = _meaning_without(answer)
    return Finding(subject, meaning, good=answer.status == 401, hint=remedy)


_WITHOUT: dict[int, tuple[str, str | None]] = {
    401: ("it answers, and wants a credential", None),
    404: ("something answers 404 to every request; it is not Contit's API", _WRONG_ADDRESS),
    403: (
        "something refuses even to look at a credential (403)",
        "A firewall or gateway is in the way, or CONTIT_BASE_URL is wrong: ask who runs the network.",
    ),
    407: ("a proxy wants a user and password (407)", "Put them into HTTPS_PROXY."),
    429: ("it refuses: too many requests (429)", _LATER),
}
_WITH: dict[int, tuple[str, str | None]] = {
    404: ("it is good", None),
    401: (
        _REFUSED,
        "It is mistyped, expired, revoked, or a token. Correct CONTIT_API_KEY, or: contit-mcp install HOST --new-key",
    ),
    403: (
        "Contit knows it, and it may not use the AI assistant (403)",
        "Give it the ReadAccess policy in Contit, or configure another credential.",
    ),
    429: ("Contit refuses for now: too many requests (429)", _LATER),
}


def _meaning_without(answer: _Reply) -> tuple[str, str | None]:
    """What an answer to a request without a credential says about who gave it."""
    status = answer.status
    if status in _WITHOUT:
        return _WITHOUT[status]
    if status >= 500:
        return f"it, or something before it, has a fault (HTTP {status})", _LATER
    if 300 <= status < 400:
        verdict = f"it answers with a redirect ({status}), which is never followed"
    elif status >= 400:
        verdict = f"it answers with HTTP {status}, which Contit does not"
    elif answer.is_json:
        verdict = f"something says yes ({status}) to whatever it is asked; it is not Contit"
    else:
        verdict = f"a web page answers ({status}); it is not Contit's API"
    return verdict, _WRONG_ADDRESS


async def _ask_with(settings: Settings, auth: Credential, name: str) -> Finding:
    try:
        answer = await _ask(settings, auth=auth)
    except ContitError as error:
        return failed("Credential", error, about=f"{name}: ")
    except HTTPX_ERRORS as error:
        verdict, hint = explain_connection(error, settings.base_url)
        return bad("Credential", f"{name}; {verdict}", hint)
    meaning, remedy = _meaning_with(answer)
    return Finding("Credential", f"{name}; {meaning}", good=answer.status == 404, hint=remedy)


def _meaning_with(answer: _Reply) -> tuple[str, str | None]:
    """What an answer says about a credential, of one that answers 401 without it."""
    status = answer.status
    if status in _WITH:
        return _WITH[status]
    if status >= 500:
        return f"Contit, or something before it, has a fault (HTTP {status})", _LATER
    if status < 300:
        return f"a run that does not exist is answered {status}; something else answers", _WRONG_ADDRESS
    return f"it is answered with HTTP {status}, which says nothing about it", _WRONG_ADDRESS


async def _ask(settings: Settings, *, auth: Credential | None) -> _Reply:
    client = build_http_client(settings.base_url, policy=_PATIENCE, ca_file=settings.ca_file)
    async with client as http:
        try:
            with anyio.fail_after(_SECONDS):
                response = await http.get(str(http.base_url).rstrip("/") + status_path(_MADE_UP, _MADE_UP), auth=auth)
        except TimeoutError as exc:
            raise httpx.ReadTimeout("the body did not end") from exc
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return _Reply(response.status_code, is_json=media_type == "application/json" or media_type.endswith("+json"))


# --- the way to Contit

_PROXY_HINT = "Check HTTPS_PROXY and ALL_PROXY, or name Contit's host in NO_PROXY if it needs no proxy."
_ADDRESS_HINT = "Check CONTIT_BASE_URL, and whether this machine is online; behind a proxy, set HTTPS_PROXY."
_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})


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


def check_proxy(settings: Settings) -> Finding:
    """Report the proxy, and the variables about proxies that are ignored."""
    _, ignored = environment_proxies()
    told = "".join(f"; ignored: {problem}" for problem in ignored)
    return Finding("Proxy", f"{proxy_for(settings.base_url) or 'none'}{told}")


def check_authorities(settings: Settings) -> Finding:
    """Report which certificate authorities are trusted."""
    own = f" and {settings.ca_file}" if settings.ca_file else ""
    given = f" (SSL_CERT_FILE: {file})" if (file := os.environ.get("SSL_CERT_FILE")) else ""
    return Finding("Certificate authorities", f"the operating system's{given}{own}")


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

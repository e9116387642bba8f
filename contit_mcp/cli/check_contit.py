"""Whether Contit answers at the configured address, and takes the credential.

The status of a made-up run is asked for, so nothing is started: first without the credential, where Contit says 401,
and only when it did, with it, where 404 says that the credential is good. An address that is not Contit's is never
shown the credential, and one that answers 404 to everything is not taken for it.
"""

from dataclasses import dataclass

import anyio
import httpx

from contit_mcp.cli.connection_trouble import explain_connection
from contit_mcp.cli.credential import credential_name, no_credential
from contit_mcp.cli.findings import Finding, failed
from contit_mcp.config.settings import Settings
from contit_mcp.contit.auth import Credential
from contit_mcp.contit.transport import HTTPX_ERRORS, TransportPolicy, build_http_client
from contit_mcp.contit.wire import status_path
from contit_mcp.errors import ContitError
from contit_mcp.server.services import configured_credential

_MADE_UP = "contit-mcp-check"
_PATIENCE = TransportPolicy(connect=10.0, read=10.0, write=10.0)
_SECONDS = 30.0
"""For one request, however slowly its bytes come."""

_WRONG_ADDRESS = "Set CONTIT_BASE_URL to where Contit's API is; without it, that is https://api.contit.cloud."
_LATER = "Try again in a little while."

_THEIR_OWN = Finding("Credential", "none here; CONTIT_MCP_AUTH is caller, so each caller sends its own")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    is_json: bool


async def check_contit(settings: Settings) -> list[Finding]:
    """Ask, and say what the answers mean."""
    contit = await _ask_without(settings)
    name = credential_name(settings)
    if name is None:
        return [contit, _THEIR_OWN if settings.auth == "caller" else failed("Credential", no_credential())]
    try:
        auth = configured_credential(settings)
        auth.identity()  # a file that cannot be read says so also where the credential is not tried
    except ContitError as error:
        return [contit, Finding("Credential", f"{name}: {error.message}", good=False, hint=error.hint)]
    try:
        return [contit, await _ask_with(settings, auth, name) if contit.good else _not_tried(name)]
    finally:
        await auth.aclose()


def _not_tried(name: str) -> Finding:
    return Finding("Credential", f"{name}; not tried, since it is sent to nobody but Contit")


async def _ask_without(settings: Settings) -> Finding:
    subject = f"Contit at {settings.base_url}"
    try:
        answer = await _ask(settings, auth=None)
    except ContitError as error:
        return failed(subject, error)
    except HTTPX_ERRORS as error:
        verdict, hint = explain_connection(error, settings.base_url)
        return Finding(subject, verdict, good=False, hint=hint)
    meaning, remedy = _meaning_without(answer)
    return Finding(subject, meaning, good=answer.status == 401, hint=remedy)


_WITHOUT: dict[int, tuple[str, str | None]] = {
    401: ("it answers, and wants a credential", None),
    404: ("something answers 404 to whoever asks; it is not Contit's API", _WRONG_ADDRESS),
    403: (
        "something refuses even to look at a credential (403)",
        "A firewall or gateway stands before Contit, or CONTIT_BASE_URL is wrong: ask who runs the network.",
    ),
    407: ("a proxy wants a user and password (407)", "Put them into HTTPS_PROXY."),
    429: ("it refuses: too many requests (429)", _LATER),
}
_WITH: dict[int, tuple[str, str | None]] = {
    404: ("it is good", None),
    401: (
        "Contit refuses it (401)",
        "It is wrong, expired or revoked, or of another kind than it is set as: set it again.",
    ),
    403: (
        "Contit knows it, and it may not use the AI assistant (403)",
        "Give it the ReadAccess policy in Contit, or configure another credential.",
    ),
    429: ("Contit refuses for now: too many requests (429)", _LATER),
}


def _meaning_without(answer: _Answer) -> tuple[str, str | None]:
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
        return Finding("Credential", f"{name}: {error.message}", good=False, hint=error.hint)
    except HTTPX_ERRORS as error:
        verdict, hint = explain_connection(error, settings.base_url)
        return Finding("Credential", f"{name}; {verdict}", good=False, hint=hint)
    meaning, remedy = _meaning_with(answer)
    return Finding("Credential", f"{name}; {meaning}", good=answer.status == 404, hint=remedy)


def _meaning_with(answer: _Answer) -> tuple[str, str | None]:
    """What an answer says about a credential, of one that answers 401 without it."""
    status = answer.status
    if status in _WITH:
        return _WITH[status]
    if status >= 500:
        return f"Contit, or something before it, has a fault (HTTP {status})", _LATER
    if status < 300:
        return f"a run that does not exist is answered {status}; something else answers", _WRONG_ADDRESS
    return f"it is answered with HTTP {status}, which says nothing about it", _WRONG_ADDRESS


async def _ask(settings: Settings, *, auth: Credential | None) -> _Answer:
    client = build_http_client(settings.base_url, policy=_PATIENCE, ca_file=settings.ca_file)
    async with client as http:
        try:
            with anyio.fail_after(_SECONDS):
                response = await http.get(str(http.base_url).rstrip("/") + status_path(_MADE_UP, _MADE_UP), auth=auth)
        except TimeoutError as exc:
            raise httpx.ReadTimeout("the body did not end") from exc
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return _Answer(response.status_code, is_json=media_type == "application/json" or media_type.endswith("+json"))

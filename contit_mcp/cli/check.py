"""contit-mcp check: what is configured, and whether Contit answers and takes the credential."""

import sys
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import click

from contit_mcp.api.client import ContitClient
from contit_mcp.api.transport import build_http_client
from contit_mcp.cli.options import settings_options
from contit_mcp.exceptions import APIError, AuthenticationError, ContitError, NotFoundError
from contit_mcp.server.upstream import build_credential
from contit_mcp.settings import Settings

_MADE_UP = "contit-mcp-check"


@dataclass(frozen=True, slots=True)
class _Finding:
    subject: str
    verdict: str
    good: bool | None = None

    def line(self) -> str:
        mark = {True: "ok  ", False: "FAIL", None: "    "}[self.good]
        return f"{mark} {self.subject}: {self.verdict}"


@click.command()
@settings_options
def command(settings: Settings) -> None:
    """Say what is configured, and whether Contit answers and takes the credential.

    Asks for the status of a run that does not exist, with the credential and without it: 404 and 401 mean
    that all is well. Nothing is started. Exit code 0 when all is well, 1 when not.
    """
    findings = [
        _Finding("Contit", settings.base_url),
        _Finding("Credential", _credential(settings)),
        _Finding("Certificate authorities", str(settings.ca_file or "the operating system's")),
        _Finding("Proxy", _proxy(settings.base_url)),
        _Finding("Runs are remembered in", settings.store_location().name),
        *anyio.run(_ask_contit, settings),
    ]
    for finding in findings:
        click.echo(finding.line())
    sys.exit(1 if any(finding.good is False for finding in findings) else 0)


def _credential(settings: Settings) -> str:
    """Which credential there is, never any part of it."""
    for name, text in (("api_key", "API key"), ("access_token", "access token"), ("client_secret", "OAuth2 client")):
        if file := getattr(settings, f"{name}_file"):
            return f"{text}, from the file {file}"
        if getattr(settings, name):
            return f"{text}, set (hidden)"
    return "none"


def _proxy(base_url: str) -> str:
    """The proxy on the way to Contit, without the user and password that its address may hold."""
    address = urlsplit(base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(address.hostname or ""):
        return "none"
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def _ask_contit(settings: Settings) -> list[_Finding]:
    try:
        credential = build_credential(settings)
    except ContitError as error:
        return [_Finding("Credential", f"{error.message} {error.hint}", good=False)]
    findings = []
    for subject, auth, expected in (
        ("Asked with the credential", credential, NotFoundError),
        ("Asked without it", None, AuthenticationError),
    ):
        async with build_http_client(settings.base_url, auth=auth, ca_file=settings.ca_file) as http:
            try:
                status = await ContitClient(http).run_status(_MADE_UP, _MADE_UP)
            except expected as error:
                meaning = "the credential is good" if auth else "as it should"
                findings.append(_Finding(subject, f"Contit answers {error.status_code}: {meaning}.", good=True))
            except (APIError, ContitError) as error:
                findings.append(_Finding(subject, f"{error.message} {error.hint}", good=False))
            else:
                text = f"Contit answers 200 ({status.phase}) about a run that does not exist; something else answers."
                findings.append(_Finding(subject, text, good=False))
    return findings

"""Check that a host's entry works: read it back from the host's file, and use it as the host would use it.

The file of a project may come from anybody. An entry in it that `install` did not write is used only with `--trust`, or
if the user has seen it and agrees, and then without the user's token and key.
"""

import os
import re
import signal
import ssl
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import click
import httpx2
import truststore
from mcp import MCPError
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from contit_mcp.cli.findings import Finding, bad, check_contit, failed
from contit_mcp.cli.install import our_folder
from contit_mcp.cli.terminal import shell_line, without_controls
from contit_mcp.config.proxies import environment_proxies
from contit_mcp.config.sources import load_settings
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import read_text
from contit_mcp.hosts.host import TOKEN_VARIABLE, HostFile, LocalServer, RemoteServer, Server, filled_in
from contit_mcp.hosts.installing import Installs, entry_in, is_ours

_PATIENCE_SECONDS = 30.0  # as long as Claude Code and Codex give a server to start
DESKTOP_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"  # of an application that was not started from a shell

_TOOLS = "Tools"
_SECRETS = re.compile(
    r"(?<=://)[^\s/@]+(?=@)|(?<=[?#])\S+|\b(?:bearer|basic)\s+\S+|(?:key|token|secret|password)\s*[=:]\s*\S+",
    re.IGNORECASE,
)
_STATUSES = {  # the hint, by status
    401: "Set {variable} to a token that the server takes: its operator issues them.",
    403: "The token is known, but may not do this; or a firewall or gateway refuses.",
    404: "The address is wrong: it ends with /mcp if contit-mcp http serves there.",
    421: "The server does not expect this host name: add it to its CONTIT_MCP_ALLOWED_HOSTS.",
}


async def check_host(place: HostFile, *, trust: bool = False, ask: bool = False) -> list[Finding]:
    """Try the host's entry; one in a project that `install` did not write needs `trust` or, if `ask`, consent."""
    host, subject = place.host, f"{place.host.title}, {place.path}"
    install = f"contit-mcp install {host.slug}{' --scope project' if place.in_project else ''}"
    try:
        is_own = not place.in_project or is_ours(place, Installs(our_folder()))
        server = entry_in(place)
    except ConfigurationError as error:
        return [failed(host.title, error)]
    if server is None:
        return [bad(subject, "it has no entry contit-assistant", install)]
    # The arguments of a command, and parts of an address, can hold secrets.
    does = f"speaks to {_address(server)}" if isinstance(server, RemoteServer) else f"starts {server.command[:300]}"
    found = [Finding(subject, f"it {without_controls(does)}")]
    if not (is_own or trust or (ask and _agreed(place, server))):
        hint = f"Read the file. To use the entry as it is, add --trust; to replace it: {install} --force"
        return [*found, bad(_TOOLS, "not tried: the entry is the project's, and install did not write it", hint)]
    if problem := host.misread(read_text(place.path) or ""):
        found.append(bad(subject, problem, "Remove it; the host says only that it failed."))
    if isinstance(server, RemoteServer):
        with_token = host.remote_note or f"Replace it: {install} --http {_address(server)} --token"
        return [*found, await _over_http(server, with_token, is_own=is_own)]
    if is_own:
        server = filled_in(server, os.environ, host.variables)
    sandbox = " --sandbox" * ("--sandbox" in server.arguments)
    found.append(await _over_stdio(server, f"{install}{sandbox} --force"))
    if not sandbox and is_own:
        found += await _contit(server, host.slug)
    elif not sandbox:
        found.append(Finding("Credential", "not tried: it is sent only for an entry that install wrote"))
    return found


def _agreed(place: HostFile, server: Server) -> bool:
    """Show all of the entry to a person at a terminal, and return whether it may be used."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    if isinstance(server, RemoteServer):
        does = f"it speaks to {server.url}"
    else:
        given = "".join(f"\n  with {name}={value}" for name, value in server.environment.items())
        does = f"it starts {shell_line(server.command, *server.arguments)}{given}"
    said = f"{place.path} is the project's, and install did not write this entry: {does}"
    click.echo(without_controls(said), err=True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the event loop's would not end the question
    try:
        return click.confirm("Use it now?", err=True)
    finally:
        signal.signal(signal.SIGINT, before)


def _address(server: RemoteServer) -> str:
    return without_controls(re.sub(r"(?<=//)[^/?#]*@|[?#].*", "", server.url, flags=re.DOTALL))[:300]


async def _list_tools(transport: Any) -> Finding:
    with anyio.fail_after(_PATIENCE_SECONDS):
        async with Client(transport) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
    return Finding(_TOOLS, ", ".join(names) or "none", good="contit_ask" in names)


async def _over_stdio(server: LocalServer, install: str) -> Finding:
    """Start it without a shell, in the home folder, with its entry's variables and the SDK's few defaults (HOME)."""
    given = ({} if os.name == "nt" else {"PATH": DESKTOP_PATH}) | dict(server.environment)
    parameters = StdioServerParameters(command=server.command, args=list(server.arguments), env=given, cwd=Path.home())
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            return await _list_tools(stdio_client(parameters, errlog=said))
        except OSError as error:
            problem = f"{server.command[:300]} cannot be started: {error.strerror or type(error).__name__}"
        except ValueError:  # a zero byte, or a lone surrogate: JSON can hold them, a command cannot
            problem = "its entry holds characters that no command can have"
        except (ExceptionGroup, MCPError, TimeoutError):
            said.seek(0)
            told = [line.strip() for line in said if line.strip() and not line.startswith("hint:")]
            problem = f"the server did not answer: {_SECRETS.sub('...', told[-1][:200]) if told else 'it said nothing'}"
    return bad(_TOOLS, without_controls(problem), f"Replace the entry: {install}")


async def _over_http(server: RemoteServer, with_token: str, *, is_own: bool) -> Finding:
    variable = TOKEN_VARIABLE if server.asked_for else server.token_variable
    token = os.environ.get(variable, "").strip() if variable and is_own else ""
    if not (token.isascii() and token.isprintable()):
        return bad(_TOOLS, f"{variable} holds characters that no token has", "Copy the token again.")
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    mounts = {
        pattern: None if proxy is None else httpx2.AsyncHTTPTransport(proxy=proxy, verify=context)
        for pattern, proxy in environment_proxies()[0].items()
    }
    statuses = [0]

    async def note(response: httpx2.Response) -> None:
        statuses.append(response.status_code)

    http = httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=_PATIENCE_SECONDS,
        verify=context,
        mounts=mounts,
        trust_env=False,
        event_hooks={"response": [note]},
    )
    cause: Exception
    try:
        async with http:
            return await _list_tools(streamable_http_client(server.url, http_client=http))
    except (ExceptionGroup, MCPError, TimeoutError, httpx2.InvalidURL) as error:
        cause = error
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    if statuses[-1] == 401 and not token:
        return _wants_token(variable, server, with_token, is_own=is_own)
    if statuses[-1] >= 400:
        hint = _STATUSES.get(statuses[-1], "Check the address, or ask the operator of the server.")
        return bad(_TOOLS, f"the server refuses ({statuses[-1]})", hint.format(variable=variable))
    problem = "the server does not speak MCP there"
    if isinstance(cause, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        problem = "its address is not a URL"
    elif isinstance(cause, httpx2.HTTPError):
        problem = "there is no connection to the server"
    hint = "Use a running server's address, like https://contit-mcp.example.com/mcp. Check TLS and HTTPS_PROXY."
    return bad(_TOOLS, f"{problem} ({type(cause).__name__})", hint)


def _wants_token(variable: str | None, server: RemoteServer, with_token: str, *, is_own: bool) -> Finding:
    if not is_own:
        return Finding(_TOOLS, "not tried: the server wants a token, which is not sent to an unknown address")
    if server.asked_for:
        return Finding(_TOOLS, f"not tried: the host asks for the token itself; set {variable} to try it here")
    if variable is None:
        return bad(_TOOLS, "the server wants a token (401), and its entry has no token", with_token)
    hint = _STATUSES[401].format(variable=variable)
    return bad(_TOOLS, f"the server wants a token (401), and {variable} is not set here", hint)


async def _contit(server: LocalServer, slug: str) -> list[Finding]:
    words = server.arguments
    config = Path(words[words.index("--config") + 1]) if "--config" in words[:-1] else None
    try:
        findings = await check_contit(load_settings(file=config, environment=server.environment))
    except ConfigurationError as error:
        return [failed("Settings", error)]
    return [replace(one, hint=one.hint and one.hint.replace("install HOST", f"install {slug}")) for one in findings]

"""Whether a host's entry works: it is read back from the host's file, and used as the host would use it."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
from mcp import MCPError
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from contit_mcp.cli.check_contit import check_contit
from contit_mcp.cli.findings import Finding, failed
from contit_mcp.cli.shell import shell_line
from contit_mcp.cli.terminal import without_controls
from contit_mcp.config.settings import load_settings
from contit_mcp.contit.transport import build_http_client
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import Host
from contit_mcp.hosts.installing import entry_in
from contit_mcp.hosts.servers import TOKEN_VARIABLE, LocalServer, RemoteServer, filled_in
from contit_mcp.hosts.strict_json import strictly_wrong

PATIENCE_SECONDS = 30.0
"""As long as Claude Code and Codex give a server to start."""

DESKTOP_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
"""The PATH of an application that was not started from a shell."""

_TOOLS = "Tools"
_STATUSES = {
    401: "Set the variable to a token that the server takes: who runs the server hands them out.",
    403: "The token is known, but may not do this; or a firewall or gateway stands before the server.",
    404: "The address is wrong: it ends with /mcp where contit-mcp http serves.",
    421: "The server does not expect this host name: it belongs into its CONTIT_MCP_ALLOWED_HOSTS.",
    429: "Too many requests; try again in a little while.",
    503: "The server is stopping or full; try again in a little while.",
}


async def check_host(host: Host, file: Path, *, scope: str | None = None) -> list[Finding]:
    """Read the entry, use it, and say what was found."""
    subject, scoped = f"{host.title}, {file}", f" --scope {scope}" if scope else ""
    try:
        server = entry_in(host, file)
    except ConfigurationError as error:
        return [failed(subject, error)]
    if server is None:
        hint = f"contit-mcp install {host.slug}{scoped}"
        return [Finding(subject, "it has no entry contit-assistant", good=False, hint=hint)]
    anew = f"contit-mcp install {host.slug}{scoped}"
    if isinstance(server, RemoteServer):
        with_token = f"Write it anew with one: {anew} --http {_showable(server.url)} --token"
        if host.remote is None or host.remote(server) == host.remote(replace(server, token_variable=TOKEN_VARIABLE)):
            with_token = host.remote_note or "Ask who runs the server."
        return [Finding(subject, f"it speaks to {_showable(server.url)}"), await _over_http(server, with_token)]
    server = filled_in(server, os.environ, host.variables)
    found = [Finding(subject, f"it starts {_showable(shell_line(server.command, *server.arguments))}")]
    if problem := strictly_wrong(host, file):
        found.append(
            Finding(subject, problem, good=False, hint="Take it out; the host says no more than that it failed.")
        )
    sandbox = "--sandbox" in server.arguments
    found.append(await _over_stdio(server, f"{anew}{' --sandbox' * sandbox} --force"))
    return found if sandbox else found + await _contit(server)


def _showable(text: str) -> str:
    """Without what a terminal would obey, and without credentials in addresses and arguments."""
    return without_controls(text[:300])


async def _over_stdio(server: LocalServer, anew: str) -> Finding:
    """Start it without a shell, in the home folder, with the variables of its entry and the few that all have."""
    hint = f"Write the entry anew: {anew}"
    given = dict(server.environment)
    if os.name != "nt":
        given = {"PATH": DESKTOP_PATH} | given
    parameters = StdioServerParameters(command=server.command, args=list(server.arguments), env=given, cwd=Path.home())
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            return await _list_tools(stdio_client(parameters, errlog=said))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            return _bad(f"{_showable(server.command)} cannot be started: {reason}", hint)
        except ValueError:  # a zero byte, or half a character: JSON can hold them, a command cannot
            return _bad("its entry holds what no command can", hint)
        except (ExceptionGroup, MCPError, TimeoutError):
            said.seek(0)
            told = [line.strip() for line in said.read().splitlines() if line.strip()]
            last = next((line for line in reversed(told) if not line.startswith("hint:")), "it said nothing")
            return _bad(f"the server did not answer: {_showable(last[:200])}", hint)


async def _over_http(server: RemoteServer, with_token: str) -> Finding:
    variable = TOKEN_VARIABLE if server.asked_for else server.token_variable
    token = os.environ.get(variable, "").strip() if variable else ""
    if not _is_address(server.url):
        return _bad("its address is none", "It is where the server's /mcp is, like https://contit-mcp.example.com/mcp.")
    if not (token.isascii() and token.isprintable()):
        hint = "Copy the token again, without anything around it."
        return _bad(f"{variable} holds what no token has", hint)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        status = await _status(server.url, headers)
        if status >= 400:
            return _refused(status, variable, token, server.asked_for, with_token)
        async with create_mcp_http_client(headers=headers) as http:
            return await _list_tools(streamable_http_client(server.url, http_client=http))
    except httpx.HTTPError as error:
        hint = "Is the server running, and can this machine reach it? Look at the address, HTTPS_PROXY and the CA."
        return _bad(f"there is no connection to the server ({type(error).__name__})", hint)
    except (ExceptionGroup, MCPError, TimeoutError) as error:
        return _bad(f"the server does not speak MCP there ({type(error).__name__})", "Look into the server's log.")


def _refused(status: int, variable: str | None, token: str, asked_for: bool, with_token: str) -> Finding:  # noqa: FBT001
    hint = _STATUSES.get(status, "Ask who runs the server.")
    if status != 401 or token:
        return _bad(f"the server refuses ({status})", hint)
    if asked_for:
        return Finding(_TOOLS, f"not tried: the host asks for the token itself; with it in {variable} it is tried here")
    if variable is None:
        return _bad("the server wants a token (401), and its entry has no token", with_token)
    return _bad(f"the server wants a token (401), and {variable} is not set here", hint)


def _bad(verdict: str, hint: str) -> Finding:
    return Finding(_TOOLS, verdict, good=False, hint=hint)


def _is_address(url: str) -> bool:
    try:
        return httpx.URL(url).scheme in {"http", "https"} and bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        return False


async def _status(url: str, headers: dict[str, str]) -> int:
    """What the server says to a first message."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"Accept": "application/json, text/event-stream"}
    async with build_http_client(url) as http:  # it trusts what this machine trusts, and follows nowhere
        return (await http.post(url, json=hello, headers=accept | headers)).status_code


async def _list_tools(transport: Any) -> Finding:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with Client(transport) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
    return Finding(_TOOLS, ", ".join(names) or "none", good="contit_ask" in names)


async def _contit(server: LocalServer) -> list[Finding]:
    """Whether Contit takes the credential of this entry."""
    words = server.arguments
    config = Path(words[words.index("--config") + 1]) if "--config" in words[:-1] else None
    try:
        return await check_contit(load_settings(file=config, environment=server.environment))
    except ConfigurationError as error:
        return [failed("Settings", error)]

"""Start an installed contit-mcp as on a machine that never saw it, and ask it a question."""

import os
from pathlib import Path

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, TextContent

from release.project import NAME, VERSION, ReleaseError, run

TOOLS = ["contit_ask", "contit_start", "contit_status", "contit_response"]
QUESTION = "How many drafts are there?"
LIMIT_SECONDS = 90.0

_OF_THE_NETWORK = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def bare_environment(home: Path, *, path: str = os.defpath) -> dict[str, str]:
    """Return the variables that a desktop gives its programs, and those that this machine needs to reach an index."""
    names = [name for name in os.environ if name.startswith(("UV_", "PIP_")) or name.upper() in _OF_THE_NETWORK]
    return {name: os.environ[name] for name in names} | {
        "HOME": str(home),
        "PATH": path,
        "CONTIT_MCP_LOG_LEVEL": "WARNING",
    }


async def ask(command: list[str], environment: dict[str, str]) -> tuple[bool, str]:
    """Ask a server over stdio, and return whether it answered, and its text.

    Raises:
        ReleaseError: It does not list the four tools.
    """
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment, cwd="/")
    with anyio.fail_after(LIMIT_SECONDS):
        async with Client(stdio_client(server), read_timeout_seconds=LIMIT_SECONDS) as client:
            if (names := [tool.name for tool in (await client.list_tools()).tools]) != TOOLS:
                raise ReleaseError(f"{command[0]} lists {names}.")
            result = await client.call_tool("contit_ask", {"prompt": QUESTION})
    assert isinstance(result, CallToolResult)  # noqa: S101 - the client declares no tasks
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    return not result.is_error and "draft" in text, text


def try_command(command: list[str], environment: dict[str, str]) -> str:
    """Check the version, the demo and a question over stdio of an installed command, outside the checkout.

    Raises:
        ReleaseError: One of them is not as it must be.
    """
    home = Path(environment["HOME"])
    if (version := run(*command, "--version", cwd=home, env=environment).strip()) != f"{NAME} {VERSION}":
        raise ReleaseError(f"--version says {version!r}.")
    if "It works." not in run(*command, "demo", cwd=home, env=environment):
        raise ReleaseError("The demo does not say that it works.")
    answered, text = anyio.run(ask, [*command, "stdio", "--sandbox"], environment)
    if not answered:
        raise ReleaseError(f"stdio answers {text!r}.")
    return "version, demo, tools and a question over stdio"

"""Start an installed contit-mcp as a stranger's machine would, and see that it works."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, TextContent, Tool

from release.project import NAME, VERSION, ReleaseError, run

QUESTION = "How many drafts are there?"
LIMIT_SECONDS = 90.0
TOOLS = ["contit_ask", "contit_start", "contit_status", "contit_response"]

_OF_THE_NETWORK = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Start:
    """How a host starts a server: a program and its arguments, without a shell, in an environment of its own."""

    command: str
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)


def bare_environment(home: Path, *, path: str = os.defpath) -> dict[str, str]:
    """What a desktop gives its programs, and what this machine needs to reach an index: no more."""
    names = [name for name in os.environ if name.startswith("UV_") or name.upper() in _OF_THE_NETWORK]
    return {name: os.environ[name] for name in names} | {"HOME": str(home), "PATH": path}


async def tools_of(start: Start) -> list[Tool]:
    """Return the tools that a server lists over stdio."""
    with anyio.fail_after(LIMIT_SECONDS):
        async with _connected(start) as client:
            return (await client.list_tools()).tools


async def answer_of(start: Start, question: str = QUESTION) -> CallToolResult:
    """What a server says to a question, after it has listed its four tools."""
    with anyio.fail_after(LIMIT_SECONDS):
        async with _connected(start) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            if names != TOOLS:
                raise ReleaseError(f"{start.command} lists {names}.")
            result = await client.call_tool("contit_ask", {"prompt": question})
            if not isinstance(result, CallToolResult):
                raise ReleaseError(f"{start.command} asks for something instead of answering.")
            return result


def text_of(result: CallToolResult) -> str:
    """All the text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def try_command(command: Path, scratch: Path) -> str:
    """Hold that an installed command works outside the checkout: version, demo, and a question over stdio.

    Raises:
        ReleaseError: It does not.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    environment = bare_environment(scratch) | {"CONTIT_MCP_LOG_LEVEL": "WARNING"}
    said = run(command, "--version", cwd=scratch, env=environment).strip()
    if said != f"{NAME} {VERSION}":
        raise ReleaseError(f"{command} --version says {said!r}.")
    if "It works." not in run(command, "demo", cwd=scratch, env=environment):
        raise ReleaseError(f"{command} demo does not say that it works.")
    result = anyio.run(answer_of, Start(str(command), ["stdio", "--sandbox"], environment))
    if result.is_error or "draft" not in text_of(result):
        raise ReleaseError(f"{command} stdio answers {text_of(result)!r}.")
    return "version, demo, tools and a question over stdio"


def _connected(start: Start) -> Client:
    server = StdioServerParameters(command=start.command, args=start.args, env=start.env, cwd="/")
    return Client(stdio_client(server), read_timeout_seconds=LIMIT_SECONDS)

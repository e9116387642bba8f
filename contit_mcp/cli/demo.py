"""contit-mcp demo: the whole path on this machine, without an account."""

import os
import sys
from typing import Any

import anyio
import click
import httpx
from mcp import MCPError
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from contit_mcp.cli.sandbox import on_free_port, sandbox_options
from contit_mcp.cli.terminal import show_answer
from contit_mcp.errors import ContitError
from contit_mcp.telemetry.logging import configure_logging

QUESTIONS = "List all published articles from March 2026", "Show me the second one"
QUESTIONS_ABOUT_OWN_CONTENT = "List all items", "Show me the first one"
_LIMIT_SECONDS = 90.0
_HINT = "Run contit-mcp check, and report what it prints."


@click.command()
@sandbox_options
def command(transport: httpx.ASGITransport) -> None:
    """Show a question and a follow-up through an MCP client, without an account.

    It starts the sandbox (a local Contit), and contit-mcp as a host would: as a child process over stdio. The client
    lists the tools, asks a question, and asks a follow-up in the same thread.

    \b
    Examples:
      contit-mcp demo
    """
    configure_logging("WARNING")
    questions = QUESTIONS_ABOUT_OWN_CONTENT if click.get_current_context().params["data"] else QUESTIONS
    try:
        anyio.run(_show, transport.app, *questions)
    except* (MCPError, TimeoutError) as errors:
        raise ContitError("The demo could not talk to contit-mcp stdio.", hint=_HINT) from errors


async def _show(app: Any, question: str, follow_up: str) -> None:
    with anyio.fail_after(_LIMIT_SECONDS):
        async with on_free_port(app) as base_url:
            click.echo(f"1. A local Contit (the sandbox) answers at {base_url}.")
            environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_")}
            environment |= {"CONTIT_BASE_URL": base_url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory"}
            words = ["-P", "-m", "contit_mcp", "stdio", "--log-level", "ERROR"]  # -P: no import from the current folder
            child = StdioServerParameters(command=sys.executable, args=words, env=environment)
            async with Client(stdio_client(child), read_timeout_seconds=_LIMIT_SECONDS) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
                click.echo(f"2. contit-mcp stdio, a child process, offers {', '.join(names)}.")
                click.echo(f"3. Asked: {question}\n")
                thread_id = await _ask(client, question, None)
                click.echo(f"4. Asked in the same thread: {follow_up}\n")
                await _ask(client, follow_up, thread_id)
    click.echo("It works. With an account: set CONTIT_API_KEY and run contit-mcp check.")


async def _ask(client: Client, prompt: str, thread_id: str | None) -> str:
    arguments = {"prompt": prompt} | ({"thread_id": thread_id} if thread_id else {})
    result = await client.call_tool("contit_ask", arguments)
    found = result.structured_content or {}
    if found.get("status") != "completed":
        raise ContitError(f"The demo got no answer: {found.get('error', 'the run is still going')}", hint=_HINT)
    show_answer(found["response"], indent=3)
    click.echo(f"\n   thread_id {found['thread_id']}, run_id {found['run_id']}, {found['elapsed_seconds']} s\n")
    return str(found["thread_id"])

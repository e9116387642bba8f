"""contit-mcp sandbox: the local Contit on a port; and its options, for the commands that embed it."""

import functools
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

from contit_mcp.cli.options import WrongUsage, with_options
from contit_mcp.errors import ConfigurationError
from contit_mcp.telemetry.logging import configure_logging

if TYPE_CHECKING:
    import httpx
    import uvicorn

KEEP_ALIVE_SECONDS = 65  # longer than contit-mcp's, which could otherwise send a question on a connection that closes

_FILE = click.Path(exists=True, path_type=Path)
_OPTIONS = {
    "data": click.option("--data", type=_FILE, help="Answer about this content: JSON or CSV; a file or folder."),
    "answers": click.option("--answers", type=_FILE, help='Scripted answers: [{"prompt": ..., "answer": ...}].'),
    "run_seconds": click.option(
        "--run-seconds", type=click.FloatRange(0), help="How long each run takes.  [default: 1.5]"
    ),
    "faults": click.option("--fault", "faults", multiple=True, help='A fault, such as "503 on=start"; repeatable.'),
    "today": click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help='The date that "last week" counts from.'),
    "seed": click.option("--seed", type=int, help="Make the ids of threads and runs the same each time."),
}


def sandbox_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the sandbox to a command, which gets a `transport` to the sandbox, or None without it."""

    @functools.wraps(command)
    def with_transport(*, sandbox: bool = True, **rest: Any) -> Any:
        given = {name: value for name in _OPTIONS if (value := rest.pop(name)) not in (None, ())}
        if given and not sandbox:
            raise WrongUsage("The options of the sandbox have no effect without it.", "Add --sandbox.")
        if sandbox and rest.get("base_url"):
            raise WrongUsage("--sandbox and --base-url name two different Contits.", "Leave one of them out.")
        return command(transport=_transport(given) if sandbox else None, **rest)

    return with_options(_OPTIONS.values(), with_transport)


def embedded_sandbox(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the sandbox to a command, and `--sandbox`, which it needs for them."""
    flag = click.option("--sandbox", is_flag=True, help="Answer from the embedded sandbox; no account needed.")
    return flag(sandbox_options(command))


def _transport(given: dict[str, Any]) -> "httpx.ASGITransport":
    import httpx  # noqa: PLC0415 - start-up time

    from contit_mcp.sandbox.app import create_sandbox  # noqa: PLC0415
    from contit_mcp.sandbox.options import SandboxOptions, parse_fault  # noqa: PLC0415

    try:
        given["faults"] = tuple(map(parse_fault, given.get("faults", ())))
        if "today" in given:
            given["today"] = given["today"].date()
        return httpx.ASGITransport(create_sandbox(SandboxOptions(**given)))
    except ValueError as exc:
        raise WrongUsage(f"{exc}.", "contit-mcp sandbox --help gives examples of faults and files.") from exc


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=8787, show_default=True, help="Port on 127.0.0.1.")
@sandbox_options
def command(port: int, transport: "httpx.ASGITransport") -> None:
    """Run a local Contit with sample content, for trying and for tests.

    \b
    Examples:
      contit-mcp sandbox
      contit-mcp sandbox --port 8788 --run-seconds 20
      contit-mcp sandbox --fault "503 on=start times=2 retry_after=3"

    \b
    In another terminal:
      export CONTIT_BASE_URL=http://127.0.0.1:8787 CONTIT_API_KEY=sandbox-key
      contit-mcp check
      contit-mcp ask "How many drafts are there?"
    """
    configure_logging("INFO")
    logging.getLogger("uvicorn.error").addFilter(_is_unexpected)
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as exc:
        reason = str(exc.strerror).partition(" (while")[0]
        hint = "Choose another one with --port."
        raise ConfigurationError(f"Port {port} cannot be listened on: {reason}.", hint=hint) from exc
    click.echo(f"The sandbox answers at http://127.0.0.1:{port} to the key sandbox-key. Ctrl-C ends it.", err=True)
    click.echo(f"export CONTIT_BASE_URL=http://127.0.0.1:{port} CONTIT_API_KEY=sandbox-key", err=True)
    with listener:
        _server(transport.app).run([listener])


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Return False for the error of a connection that a fault dropped."""
    from contit_mcp.sandbox.app import ConnectionDropped  # noqa: PLC0415

    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionDropped))


def _server(app: Any) -> "uvicorn.Server":
    import uvicorn  # noqa: PLC0415

    return uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=KEEP_ALIVE_SECONDS)
    )


@asynccontextmanager
async def on_free_port(app: Any) -> AsyncIterator[str]:
    """Serve the sandbox inside this process, and yield its address."""
    server = _server(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            while not server.started:
                await anyio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True

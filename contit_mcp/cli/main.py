"""The command `contit-mcp`: which commands there are, and how each of them fails."""

import contextlib
import difflib
import gc
import importlib
import os
import sys
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from contit_mcp import __version__
from contit_mcp.errors import ContitError

_COMMANDS = {
    "stdio": "Serve MCP over stdin and stdout, for a host on this machine.",
    "http": "Serve MCP over Streamable HTTP, for many callers.",
    "ask": "Ask from the terminal, and print the answer.",
    "demo": "Show the whole path without an account: tools, a question, a follow-up.",
    "check": "Say what is configured, and whether Contit answers.",
    "install": "Write our entry into the configuration of a host.",
    "uninstall": "Take it out again.",
    "handle": "Open a handle that a caller reports: print the ids that the log has.",
    "healthcheck": "Say whether the HTTP server on this machine is alive.",
    "sandbox": "Run a local Contit to try and test against.",
    "completion": "Print the script by which your shell completes all this.",
}

_LOOK_FOR_GARBAGE = (50_000, 20, 20)
"""How many new objects make Python look for garbage among the young ones, and how many such searches one among older.
A waiting call is about a thousand objects, none of them garbage before its end: at Python 3.11's own 700, 10 and 10 the
searches took a fifth of the processor time of 1,000 asks. Memory grew by 3 %."""


class _Commands(click.Group):
    """Imports a command when it is used: a host waits for our start each time it opens."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        # What is imported stays. To look for garbage in it takes a tenth of the start, and some of every later search.
        gc.disable()
        command: click.Command = importlib.import_module(f"contit_mcp.cli.{cmd_name}").command
        gc.freeze()
        gc.set_threshold(*_LOOK_FOR_GARBAGE)
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any of them."""
        names = [CompletionItem(name, help=_COMMANDS[name]) for name in _COMMANDS if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="contit-mcp", message="%(prog)s %(version)s")
@click.pass_context
def contit_mcp(ctx: click.Context) -> None:
    """Ask Contit's AI assistant about your content, from any MCP host.

    \b
    First steps:
      contit-mcp demo                      see it work, without an account
      contit-mcp ask --sandbox "Help me"   ask, without an account
      export CONTIT_API_KEY=your-key       and now with one:
      contit-mcp check                     is the key good?
      contit-mcp ask "Any drafts?"         ask
      contit-mcp stdio                     what a host starts
    """
    if ctx.invoked_subcommand is None:
        if sys.stdin is None or sys.stdin.isatty():
            click.echo(ctx.get_help())
        else:
            ctx.invoke(_Commands.get_command(ctx.command, ctx, "stdio"))  # type: ignore[arg-type]


def main() -> NoReturn:
    """Run the command line; errors are one line and a hint on stderr, exit code 1 (2 for wrong usage)."""
    try:
        code = contit_mcp.main(prog_name="contit-mcp", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as exc:
        exc.show(sys.stderr)
        if near := _meant(exc):
            click.echo(f"hint: Did you mean {near}?", err=True)
        sys.exit(exc.exit_code)
    except ContitError as exc:
        click.echo(f"error: {exc.message}\nhint: {exc.hint}", err=True)
        sys.exit(1)
    except OSError as exc:
        _report(exc)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _meant(error: click.ClickException) -> str | None:
    """The command that looks most like an unknown one."""
    words = [word for word in sys.argv[1:2] if isinstance(error, click.UsageError) and word not in _COMMANDS]
    close = [near for word in words for near in difflib.get_close_matches(word, _COMMANDS, n=1)]
    return close[0] if close else None


def _report(error: OSError) -> None:
    """A file that cannot be used; else stdout is a full disk, or a pipe that nobody reads. That is no traceback."""
    reason = error.strerror or type(error).__name__
    if error.filename is not None:
        click.echo(
            f"error: {error.filename} cannot be used: {reason}.\nhint: Check its path and permissions.", err=True
        )
        return
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again at its end
        click.echo(f"error: The output could not be written: {reason}.\nhint: Write it somewhere else.", err=True)

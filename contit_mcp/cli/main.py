"""The command `contit-mcp`: its commands, and how each of them fails."""

import contextlib
import difflib
import gc
import importlib
import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from contit_mcp import __version__
from contit_mcp.cli.environment import open_streams, without_unusable
from contit_mcp.errors import ContitError

_COMMANDS = {
    "stdio": ("serve:stdio", "Serve MCP over stdin and stdout, for a host on this machine."),
    "http": ("serve:http", "Serve MCP over Streamable HTTP, for many callers."),
    "ask": ("ask:command", "Ask from the terminal, and print the answer."),
    "runs": ("runs:command", "List the remembered conversations, and show an answer again."),
    "demo": ("demo:command", "Start the sandbox and a server, and ask two questions through an MCP client."),
    "check": ("check:command", "Report the configuration, and whether Contit answers."),
    "install": ("install:install", "Write our entry into the configuration of a host."),
    "uninstall": ("install:uninstall", "Remove our entry from the configuration of a host."),
    "handle": ("handle:command", "Open a handle that a caller reports, and print the ids that the log has."),
    "healthcheck": ("serve:healthcheck", "Report whether the HTTP server on this machine is alive."),
    "sandbox": ("sandbox:command", "Run a local Contit to try and test against."),
    "settings": ("options:settings", "List every setting with its meaning and default."),
}
"""Each command by name: the module and name of it, and its line in the help."""


class _Commands(click.Group):
    """Imports a command when it is used: a host waits for our start each time it opens."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        gc.disable()  # modules stay: searches for garbage among them would take a third of the start
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"contit_mcp.cli.{module}"), name)
        gc.freeze()
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any of them."""
        names = [CompletionItem(name, help=_COMMANDS[name][1]) for name in _COMMANDS if name.startswith(incomplete)]
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
      contit-mcp install claude-desktop    ask from a host; this stores the key

    \b
    Completion, by a line in ~/.bashrc (zsh and fish likewise):
      eval "$(_CONTIT_MCP_COMPLETE=bash_source contit-mcp)"
    """
    if ctx.invoked_subcommand is None:
        if sys.stdin.isatty() or isinstance(sys.stdin.name, int):  # a number: stdin was closed
            click.echo(ctx.get_help())
        else:
            ctx.invoke(_Commands.get_command(ctx.command, ctx, "stdio"))  # type: ignore[arg-type]


def main() -> NoReturn:
    """Run the command line. An error is one line and a hint on stderr, with exit code 1 (2 for wrong usage)."""
    try:
        open_streams()
        if sys.warnoptions:  # warnings of our dependencies must not become errors
            warnings.filterwarnings("ignore")
        if (ignored := without_unusable(os.environ)) and "_CONTIT_MCP_COMPLETE" not in os.environ:
            _say(f"note: Ignored in the environment: {'; '.join(ignored)}.")
        code = _run()
        sys.stdout.flush()
    except (KeyboardInterrupt, click.exceptions.Abort):
        code = 130  # 128 and the number of SIGINT, as shells count
        if "--json" in sys.argv:
            _say_error("Interrupted.", "contit-mcp runs lists the questions that were asked.")
        else:
            _say("Stopped.")
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        code = _report(error)
    code = code if isinstance(code, int) else int(code is not None)
    if os.environ.get("PYTHONINSPECT"):  # Python would ask for commands now, on the stdin of a protocol
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> Any:
    try:
        return contit_mcp.main(prog_name="contit-mcp", standalone_mode=False)
    except SystemExit as leaving:
        return leaving.code


def _report(error: Exception) -> int:
    """Say what happened and what to do now; return the exit code."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        _let_stdout_go()
        return 141  # 128 and the number of SIGPIPE
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None) or click.Context(contit_mcp)
        if "--json" not in sys.argv:
            _say(context.get_usage())
        near = difflib.get_close_matches(sys.argv[1], _COMMANDS, n=1) if context.command is contit_mcp else []
        hint = f"Did you mean {near[0]}?" if near else f"{context.command_path} --help says more."
        _say_error(error.format_message(), getattr(error, "hint", hint))
        return error.exit_code
    if isinstance(error, ContitError):
        _say_error(error.message, error.hint)
        return 1
    reason = getattr(error, "strerror", None) or type(error).__name__
    if isinstance(error, OSError) and error.filename is not None:
        message, hint = f"{error.filename} cannot be used: {reason}.", "Check its path and permissions."
    elif isinstance(error, OSError):  # of stdout: the disk is full, or it is closed
        _let_stdout_go()
        message, hint = f"The output could not be written: {reason}.", "Write it somewhere else."
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        message = f"contit-mcp itself failed: {type(error).__name__} at {where}. That is a bug in it."
        hint = "Try once more; if it fails again, report this line, the command, and the version."
    _say(f"error: {message}\nhint: {hint}")
    return 1


def _say_error(message: str, hint: str) -> None:
    """Print an error: for scripts that ask for JSON as an object, else as a line and a hint."""
    if "--json" in sys.argv:
        try:
            click.echo(json.dumps({"status": "failed", "error": message, "hint": hint}))
        except (OSError, ValueError):
            _let_stdout_go()
        return
    from contit_mcp.cli.terminal import error_text  # noqa: PLC0415 - start-up time

    _say(error_text(message, hint))


def _let_stdout_go() -> None:
    """Point stdout to nowhere, or Python would try to write the rest of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """Write to stderr, which may be full or gone."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(text, err=True)

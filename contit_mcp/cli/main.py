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
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from contit_mcp import __version__
from contit_mcp.cli.environment import open_streams, stdin_is_closed, without_unusable
from contit_mcp.errors import ContitError

_COMMANDS = {
    "stdio": ("serve:stdio", "Serve MCP over stdin and stdout, for a host on this machine."),
    "http": ("serve:http", "Serve MCP over Streamable HTTP, for many callers."),
    "ask": ("ask:command", "Ask from the terminal, and print the answer."),
    "runs": ("runs:command", "List the remembered conversations, and show an answer again."),
    "demo": ("demo:command", "Show the whole path without an account: tools, a question, a follow-up."),
    "check": ("check:command", "Report the configuration, and whether Contit answers."),
    "install": ("install:install", "Write our entry into the configuration of a host."),
    "uninstall": ("install:uninstall", "Remove our entry from the configuration of a host."),
    "handle": ("handle:command", "Open a handle that a caller reports, and print the ids that the log has."),
    "healthcheck": ("serve:healthcheck", "Report whether the HTTP server on this machine is alive."),
    "sandbox": ("sandbox:command", "Run a local Contit to try and test against."),
    "settings": ("options:settings", "List every setting with its meaning and default."),
}
"""Each command by name: the module and name of it, and its line in the help."""

_CLICKS_WORDS = {
    "a valid float range": "a number",
    "a valid integer range": "a whole number",
    "does not match the format '%Y-%m-%d'": "is not a date like 2026-03-12",
}
"""What click says about a value, and how it is said here."""

_INTERRUPTED, _BROKEN_PIPE = 130, 141
"""The exit codes after Ctrl-C and when the reader of stdout has gone: 128 and the signal's number, as shells count."""


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
      contit-mcp install claude-desktop    ask from a host; it keeps the key

    \b
    Completion, by a line in ~/.bashrc (zsh and fish likewise):
      eval "$(_CONTIT_MCP_COMPLETE=bash_source contit-mcp)"
    """
    if ctx.invoked_subcommand is None:
        if stdin_is_closed() or sys.stdin.isatty():
            click.echo(ctx.get_help())
        else:
            ctx.invoke(_Commands.get_command(ctx.command, ctx, "stdio"))  # type: ignore[arg-type]


def main() -> NoReturn:
    """Run the command line. An error is one line and a hint on stderr, with exit code 1 (2 for wrong usage)."""
    try:
        code = _run()
    except (KeyboardInterrupt, click.exceptions.Abort):
        if "--json" in sys.argv:
            _say_error("Interrupted.", "contit-mcp runs lists the questions that were asked.")
        else:
            _say("Stopped.")
        code = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        code = _report(error)
    if os.environ.get("PYTHONINSPECT"):  # Python would ask for commands now, on the stdin of a protocol
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    open_streams()
    if sys.warnoptions:  # warnings of our dependencies must not become errors
        warnings.filterwarnings("ignore")
    if (ignored := without_unusable(os.environ)) and "_CONTIT_MCP_COMPLETE" not in os.environ:
        _say(f"note: Ignored in the environment: {'; '.join(ignored)}.")
    try:
        code = contit_mcp.main(prog_name="contit-mcp", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        return _report_usage(error)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return code if isinstance(code, int) else 0


def _report_usage(error: click.ClickException) -> int:
    """Say how the command is called and what is wrong, and name the option or command that was probably meant."""
    context = (error.ctx if isinstance(error, click.UsageError) else None) or click.Context(contit_mcp)
    message, word, known = error.format_message(), "".join(sys.argv[1:2]), list(_COMMANDS)
    for theirs, ours in _CLICKS_WORDS.items():
        message = message.replace(theirs, ours)
    if isinstance(error, click.NoSuchOption):
        message, word = f"No such option: {error.option_name}", error.option_name
        known = [name for param in context.command.params for name in param.opts]
    elif isinstance(error, click.BadParameter) and error.param and isinstance(error.param.type, click.Choice):
        known = list(error.param.type.choices)
        word = next((each for each in sys.argv if repr(each) in message), known[0])
    near = [name for name in known if name.startswith(word)] or difflib.get_close_matches(word, known, n=1)
    hint = getattr(error, "hint", f"{context.command_path} --help says more.")
    if near and word not in known:
        hint = f"Did you mean {' or '.join(near[:2])}?"
    if "--json" not in sys.argv:
        _say(context.get_usage())
    _say_error(message, hint)
    return error.exit_code


def _report(error: Exception) -> int:
    """Say what happened and what to do now; return the exit code."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        _let_stdout_go()
        return _BROKEN_PIPE
    if isinstance(error, ContitError):
        _say_error(error.message, error.hint)
    elif isinstance(error, OSError):
        _say("error: {}\nhint: {}".format(*_of_the_system(error)))
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        _say(
            f"error: contit-mcp itself failed: {type(error).__name__} at {where}. That is a bug in it.\n"
            "hint: Try once more; if it fails again, report this line, the command, and the version."
        )
    return 1


def _of_the_system(error: OSError) -> tuple[str, str]:
    """Return message and hint; without a file's name it is stdout (a full disk, or closed) or the current folder."""
    reason = error.strerror or type(error).__name__
    if error.filename is not None:
        return f"{error.filename} cannot be used: {reason}.", "Check its path and permissions."
    try:
        Path.cwd()
    except OSError:
        return "The folder that this was called from is gone.", "Go to another one."
    _let_stdout_go()
    return f"The output could not be written: {reason}.", "Write it somewhere else."


def _say_error(message: str, hint: str) -> None:
    """Print an error: for scripts that ask for JSON as an object, else as a line and a hint."""
    if "--json" in sys.argv:
        with contextlib.suppress(OSError, ValueError):
            click.echo(json.dumps({"status": "failed", "error": message, "hint": hint}))
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

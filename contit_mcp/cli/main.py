"""The command `contit-mcp`: its subcommands, how their errors are printed, and the standard streams and variables."""

import contextlib
import gc
import importlib
import importlib.metadata
import io
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import NoReturn

import click

from contit_mcp import __version__
from contit_mcp.errors import ContitError

_COMMANDS = {  # the module of cli/ and the name in it, imported when used, and the line in the help
    "stdio": ("serve:stdio", "Serve MCP over stdin and stdout, for a host on this machine."),
    "http": ("serve:http", "Serve MCP over Streamable HTTP, for many callers."),
    "ask": ("ask:command", "Ask a question, and print the answer."),
    "runs": ("ask:runs", "List the remembered questions, and show an answer again."),
    "demo": ("demo:command", "Start the sandbox and a server, and ask two questions through an MCP client."),
    "check": ("check:command", "Report the configuration, and whether Contit accepts the key."),
    "install": ("install:install", "Write an entry for contit-mcp into the configuration of a host."),
    "uninstall": ("install:uninstall", "Remove the entry from the configuration of a host."),
    "handle": ("serve:handle", "Decrypt a handle that a caller reports, and print its ids."),
    "healthcheck": ("serve:healthcheck", "Report whether the HTTP server on this machine is alive."),
    "sandbox": ("sandbox:command", "Run a local Contit with sample content, for trying and for tests."),
    "settings": ("options:settings", "List every setting with its meaning and default."),
}


class _Commands(click.Group):
    """Imports a command when it is used: a host waits for our start each time it opens."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        return name, _imported(name) if name and found else None, rest


def _imported(command: str) -> click.Command:
    gc.disable()  # imports leave no garbage; to search for it would take a third of the start
    module, _, name = _COMMANDS[command][0].partition(":")
    found: click.Command = getattr(importlib.import_module(f"contit_mcp.cli.{module}"), name)
    gc.freeze()
    gc.enable()
    return found


@click.group(
    cls=_Commands,
    commands=[click.Command(name, short_help=line) for name, (_, line) in _COMMANDS.items()],
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="contit-mcp", message="%(prog)s %(version)s")
@click.pass_context
def contit_mcp(ctx: click.Context) -> None:
    """Ask Contit's AI assistant about your content, here or from any MCP host.

    \b
    First steps:
      contit-mcp demo                      see it work, without an account
      contit-mcp ask --sandbox "Help me"   ask, without an account
      export CONTIT_API_KEY=your-key       with an account: set its API key
      contit-mcp check                     does Contit accept the key?
      contit-mcp ask "Any drafts?"         ask
      contit-mcp install claude-desktop    ask from a host; this stores the key

    \b
    Completion: add this line to ~/.bashrc (for zsh: zsh_source, in ~/.zshrc):
      eval "$(_CONTIT_MCP_COMPLETE=bash_source contit-mcp)"
    """
    if ctx.invoked_subcommand is None:
        if sys.stdin.isatty() or isinstance(sys.stdin.name, int):  # a number: stdin was closed
            click.echo(ctx.get_help())
        else:
            ctx.invoke(_imported("stdio"))


def main() -> NoReturn:
    """Run the command line. An error is one line and a hint on stderr, or JSON with --json; exit code 1 (2: usage)."""
    try:
        _open_streams()
        if sys.warnoptions:  # warnings of our dependencies must not become errors
            warnings.filterwarnings("ignore")
        if (ignored := _drop_unusable(os.environ)) and "_CONTIT_MCP_COMPLETE" not in os.environ:
            _say(f"note: Ignored in the environment: {'; '.join(ignored)}.")
        try:
            code = contit_mcp.main(prog_name="contit-mcp", standalone_mode=False)
        except SystemExit as leaving:
            code = leaving.code
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


def _report(error: Exception) -> int:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        _discard_stdout()
        return 141  # 128 and the number of SIGPIPE
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None) or click.Context(contit_mcp)
        if "--json" not in sys.argv:
            _say(context.get_usage())
        _say_error(error.format_message(), getattr(error, "hint", f"{context.command_path} --help says more."))
        return error.exit_code
    if isinstance(error, ContitError):
        _say_error(error.message, error.hint)
        return 1
    reason = getattr(error, "strerror", None) or type(error).__name__
    if isinstance(error, OSError) and error.filename is not None:
        message, hint = f"{error.filename} cannot be used: {reason}.", "Check its path and permissions."
    elif isinstance(error, OSError):  # of stdout: the disk is full, or it is closed
        _discard_stdout()
        _say(f"error: The output could not be written: {reason}.\nhint: Write it somewhere else.")
        return 1
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        message = f"contit-mcp itself failed: {type(error).__name__} at {where}. That is a bug in it."
        hint = "Try once more; if it fails again, report this line, the command, and the version."
    _say_error(message, hint)
    return 1


def _say_error(message: str, hint: str) -> None:
    if "--json" in sys.argv:
        try:
            click.echo(json.dumps({"status": "failed", "error": message, "hint": hint}))
        except (OSError, ValueError):
            _discard_stdout()
        return
    from contit_mcp.cli.terminal import error_text  # noqa: PLC0415 - start-up time

    _say(error_text(message, hint))


def _discard_stdout() -> None:
    """Point stdout to the null device; at its exit Python would try to write the rest once more, and fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """Write to stderr, which may be full or gone."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(text, err=True)


# --- what the caller may have set up badly: closed streams, and variables that our dependencies cannot use


def _open_streams() -> None:
    """Open the standard streams that the caller has closed: no file gets their numbers, and writes to stdout fail."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None:
            descriptor = os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)  # noqa: FBT003
            stream = open(descriptor, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the life of the process
            setattr(sys, name, stream)
        if name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # characters that its encoding lacks become question marks


def _drop_unusable(environment: MutableMapping[str, str]) -> list[str]:
    """Drop the variables that a dependency of ours could not use; return a phrase for each that is ignored."""
    ignored = []
    for name, is_usable, problem in _RULES:
        if (value := environment.get(name)) and not is_usable(value):
            del environment[name]
            ignored.append(f"{name}, which {problem}")
    if any(name.lower().endswith("_proxy") for name in environment):
        from contit_mcp.config.proxies import environment_proxies  # noqa: PLC0415 - start-up time

        ignored += environment_proxies()[1]
    return ignored


def _is_writable(value: str) -> bool:
    path = Path(value)
    return os.access(path if path.exists() else path.parent, os.W_OK) and not path.is_dir()


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 6


def _are_plugins(group: str, value: str) -> bool:
    known = {entry.name for entry in importlib.metadata.entry_points(group=f"opentelemetry_{group}")}
    return all(name.strip() in known for name in value.split(","))


_RULES: tuple[tuple[str, Callable[[str], bool], str], ...] = (  # variable, whether its value is usable, problem
    ("SSL_CERT_FILE", lambda value: Path(value).is_file() and os.access(value, os.R_OK), "names no readable file"),
    ("SSL_CERT_DIR", lambda value: any(Path(part).is_dir() for part in value.split(os.pathsep)), "names no folder"),
    ("SSLKEYLOGFILE", _is_writable, "names no file that can be written"),
    ("COLUMNS", _is_number, "is not a number"),
    ("LINES", _is_number, "is not a number"),
    ("WEB_CONCURRENCY", _is_number, "is not a number"),
    ("OTEL_PROPAGATORS", partial(_are_plugins, "propagator"), "names a propagator that is not installed"),
    ("OTEL_PYTHON_CONTEXT", partial(_are_plugins, "context"), "names a context that is not installed"),
    ("OTEL_PYTHON_TRACER_PROVIDER", partial(_are_plugins, "tracer_provider"), "names a provider that is not installed"),
    ("OTEL_PYTHON_METER_PROVIDER", partial(_are_plugins, "meter_provider"), "names a provider that is not installed"),
)

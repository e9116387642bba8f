"""contit-mcp runs: the remembered conversations. `contit-mcp ask --thread` goes on with one of them."""

import sys
from dataclasses import asdict
from datetime import datetime

import anyio
import click
from click.shell_completion import CompletionItem

from contit_mcp.api import Run
from contit_mcp.cli.ask import (
    NextCommands,
    NoConversationError,
    Request,
    complete,
    echo_json,
    finish,
    get_answer,
    outcome_of_error,
    remembered,
    usable_settings,
)
from contit_mcp.cli.options import GivenOptions, given_options
from contit_mcp.cli.terminal import columns, without_controls
from contit_mcp.errors import ContitError
from contit_mcp.runs.store import MOST_RECENT


@click.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, MOST_RECENT), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@given_options
@click.pass_context
def command(ctx: click.Context, given: GivenOptions, *, limit: int, as_json: bool) -> None:
    """List the remembered conversations, newest first.

    Questions are remembered for a day, answers for an hour (CONTIT_MCP_ANSWER_SECONDS); those that hosts on this
    machine asked with the same credential are among them. The title is the beginning of the question. Go on with a
    conversation with contit-mcp ask --thread ID.

    \b
    Examples:
      contit-mcp runs
      contit-mcp runs --json | head
      contit-mcp ask "Any drafts?" && contit-mcp runs show 1
    """
    ctx.obj = given
    if ctx.invoked_subcommand is not None:
        return
    try:
        runs = anyio.run(remembered, usable_settings(given), limit)
    except ContitError as error:
        if not as_json:
            raise
        outcome = outcome_of_error(error, NextCommands(given, as_json=True))
        finish(ctx, outcome, None, as_json=True)
    if as_json:
        echo_json({"runs": [_known(run) for run in runs]})
        return
    for number, run in enumerate(runs, start=1):
        click.echo(_line(number, run))
    if not runs:
        click.echo("No conversation is remembered.", err=True)


def _complete_run(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return complete(ctx, incomplete, "run_id")


@command.command()
@click.argument("which", metavar="RUN", default="1", shell_complete=_complete_run)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as contit-mcp ask does.")
@click.pass_context
def show(ctx: click.Context, *, which: str, as_json: bool) -> None:
    """Print an answer again. RUN is a number in the list (1 is the newest), or the id of a run or conversation.

    The exit codes are those of contit-mcp ask.
    """
    given: GivenOptions = ctx.obj
    commands = NextCommands(given, as_json=as_json)
    try:
        settings = usable_settings(given)
        run = _chosen(anyio.run(remembered, settings, MOST_RECENT), which)
        request = Request(None, run.thread_id, run.run_id, wait_seconds=0)
        outcome = anyio.run(get_answer, request, settings, commands)
    except ContitError as error:
        outcome = outcome_of_error(error, commands)
    finish(ctx, outcome, commands.go_on(outcome.thread_id), as_json=as_json)


def _chosen(runs: list[Run], which: str) -> Run:
    for run in runs:
        if which in {run.run_id, run.thread_id}:
            return run
    if which.isascii() and which.isdigit() and 1 <= int(which[:4]) <= len(runs):
        return runs[int(which) - 1]
    raise NoConversationError(
        f"Of {len(runs)} remembered questions, none is {which[:60]}.", hint="contit-mcp runs lists them with their ids."
    )


def _known(run: Run) -> dict[str, object]:
    return {name: value for name, value in asdict(run).items() if value is not None}


def _line(number: int, run: Run) -> str:
    """Return what a person wants to see of a run; its title is cut to the terminal."""
    asked_at = "" if run.asked_at is None else f"{datetime.fromtimestamp(run.asked_at).astimezone():%Y-%m-%d %H:%M}"
    start = f"{number:>3}  {asked_at:16}  {run.status:11}  {run.thread_id}"
    title = without_controls(run.title or "")
    room = max(20, columns(sys.stdout) - len(start) - 3) if sys.stdout.isatty() else len(title)
    return f"{start}  {title[:room]}".rstrip()

"""contit-mcp runs: the remembered conversations. `contit-mcp ask --thread` goes on with one of them."""

import json
from dataclasses import asdict
from datetime import datetime

import anyio
import click

from contit_mcp.cli.ask import Wanted, finish, remembered
from contit_mcp.cli.options import GivenOptions, WrongUsage, given_options
from contit_mcp.cli.terminal import without_controls
from contit_mcp.errors import ContitError


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@given_options
@click.pass_context
def command(ctx: click.Context, given: GivenOptions, *, as_json: bool) -> None:
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
        if as_json:
            raise WrongUsage("--json before show is for the list.", "Put --json behind show.")
        return
    runs = anyio.run(remembered, given.load())
    if as_json:
        known = [{name: value for name, value in asdict(run).items() if value is not None} for run in runs]
        click.echo(json.dumps({"runs": known}))
        return
    for number, run in enumerate(runs, start=1):
        asked_at = "" if run.asked_at is None else f"{datetime.fromtimestamp(run.asked_at).astimezone():%Y-%m-%d %H:%M}"
        title = without_controls(run.title or "")
        click.echo(f"{number:>3}  {asked_at:16}  {run.status:11}  {run.thread_id}  {title}".rstrip())
    if not runs:
        click.echo("No conversation is remembered.", err=True)


@command.command()
@click.argument("which", metavar="[RUN]", default="1")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as contit-mcp ask does.")
@click.pass_obj
def show(given: GivenOptions, *, which: str, as_json: bool) -> None:
    """Print an answer again. RUN is a number in the list (1 is the newest), or the id of a run or conversation.

    The exit codes are those of contit-mcp ask.
    """
    settings = given.load()
    for number, run in enumerate(anyio.run(remembered, settings), start=1):
        if which in {str(number), run.run_id, run.thread_id}:
            finish(settings, Wanted(given, None, run.thread_id, run.run_id, wait_seconds=0, as_json=as_json))
    raise ContitError(f"{which[:60]} is not a remembered question.", hint="contit-mcp runs lists them with their ids.")

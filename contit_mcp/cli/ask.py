"""contit-mcp ask: a question from the terminal, and its answer."""

import io
import json
import sys

import anyio
import click

from contit_mcp.cli.asking import Request, get_answer
from contit_mcp.cli.last_conversation import Conversation, LastConversation
from contit_mcp.cli.markdown import show_answer
from contit_mcp.cli.options import GivenOptions, given_options
from contit_mcp.cli.outcome import ExitCode, NextCommands, Outcome, nothing_started, outcome_of_error
from contit_mcp.cli.sandbox_options import SandboxChoice, embedded_sandbox
from contit_mcp.cli.spinner import duration
from contit_mcp.cli.terminal import dim, is_terminal
from contit_mcp.contit.wire import id_problem
from contit_mcp.errors import ConfigurationError, ContitError

_MOST_BYTES = 1_000_000
"""Read of stdin; far more than a prompt may have, so that one that is too long is told as that."""


@click.command()
@click.argument("prompt", required=False)
@click.option("--thread", "thread_id", metavar="ID", help="Go on with this conversation.")
@click.option("--last", is_flag=True, help="Go on with the conversation asked last; without PROMPT, fetch its answer.")
@click.option("--run", "run_id", metavar="ID", help="Fetch this run's answer (with --thread, without PROMPT).")
@click.option(
    "--wait-seconds",
    type=click.FloatRange(0, 86_400),
    metavar="SECONDS",
    help="Wait so long, then print how to fetch the answer. Without it: until the run ends.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, also of errors and interruptions.")
@embedded_sandbox
@given_options
@click.pass_context
def command(
    ctx: click.Context,
    given: GivenOptions,
    *,
    prompt: str | None,
    thread_id: str | None,
    last: bool,
    run_id: str | None,
    wait_seconds: float | None,
    as_json: bool,
    sandbox: SandboxChoice | None,
) -> None:
    """Ask Contit's assistant, and print its answer.

    PROMPT is read from stdin where it is - or where something is piped in. The answer goes to stdout: rendered
    on a terminal, plain in a pipe. All else goes to stderr. Ctrl-C leaves the run going, and prints the command
    that fetches its answer.

    \b
    Examples:
      contit-mcp ask --sandbox "How many drafts are there?"
      contit-mcp ask "List all published articles from March 2026"
      contit-mcp ask --last "Show me the second one"
      contit-mcp ask --last
      echo "How many drafts are there?" | contit-mcp ask
      contit-mcp ask --json "How many drafts are there?" | jq -r .response

    \b
    Exit codes:
      0    answered
      1    an error, or the run failed
      2    wrong usage
      3    still running after --wait-seconds
      130  interrupted
    """
    _write_what_can_be_written()
    _refuse_what_does_not_fit(prompt, thread_id, run_id, last=last, sandbox=sandbox is not None)
    if run_id is None:
        prompt = _read_prompt(prompt, optional=last or thread_id is not None)

    request = Request(prompt, thread_id, run_id, wait_seconds)
    commands = NextCommands(given, as_json=as_json, forgetful=sandbox is not None)
    try:
        outcome, follow_up = _get(request, given, commands, sandbox, last=last)
    except ContitError as error:
        outcome, follow_up = outcome_of_error(error, commands), None
    except KeyboardInterrupt:
        outcome, follow_up = nothing_started(), None
    if as_json:
        utf = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(outcome.for_scripts(), ensure_ascii=not utf))
    else:
        _show(outcome, follow_up)
    ctx.exit(outcome.exit_code)


def _get(
    request: Request, given: GivenOptions, commands: NextCommands, sandbox: SandboxChoice | None, *, last: bool
) -> tuple[Outcome, str | None]:
    """The outcome, and the command that asks on in its conversation."""
    settings = given.load(sandbox=commands.forgetful, quiet=True)
    remembered = LastConversation(settings.state_dir)
    if last:
        conversation = remembered.read(settings.base_url)
        fetched = conversation.run_id if request.prompt is None else None
        request = Request(request.prompt, conversation.thread_id, fetched, request.wait_seconds)
    warnings: list[ConfigurationError] = []
    is_last = last

    def on_started(thread_id: str, run_id: str) -> None:
        nonlocal is_last
        if request.prompt is None or commands.forgetful:
            return
        try:
            remembered.write(Conversation(settings.base_url, thread_id, run_id))
            is_last = True
        except ConfigurationError as error:
            warnings.append(error)
            is_last = False

    transport = sandbox.transport() if sandbox else None
    outcome = anyio.run(get_answer, request, settings, commands, on_started, transport)
    for warning in warnings:
        click.echo(f"warning: --last will not know this conversation. {warning.message}", err=True)
    if commands.forgetful:
        return outcome, None
    return outcome, commands.go_on(None if is_last else outcome.thread_id)


def _refuse_what_does_not_fit(
    prompt: str | None, thread_id: str | None, run_id: str | None, *, last: bool, sandbox: bool
) -> None:
    if last and thread_id is not None:
        raise click.UsageError("--last and --thread name two conversations; keep one.")
    if run_id is not None and thread_id is None:
        raise click.UsageError("--run needs the --thread that the run is on.")
    if run_id is not None and prompt is not None:
        raise click.UsageError("--run fetches an answer and takes no PROMPT; leave --run out to ask.")
    if sandbox and (last or thread_id is not None):
        raise click.UsageError(
            "The embedded sandbox forgets with its process. To go on with a conversation, run contit-mcp sandbox in"
            " another terminal and set the CONTIT_BASE_URL and CONTIT_API_KEY that it prints."
        )
    for name, value in (("--thread", thread_id), ("--run", run_id)):
        if value is not None and (problem := id_problem(value)):
            raise click.UsageError(f"The id of {name} {problem}.")


def _read_prompt(argument: str | None, *, optional: bool) -> str | None:
    """The question, from the argument or from stdin; None where there is none and none is needed."""
    prompt = argument
    if argument == "-" or (argument is None and sys.stdin is not None and not sys.stdin.isatty()):
        try:
            prompt = sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8-sig").strip()
        except UnicodeDecodeError as exc:
            raise click.UsageError("What stdin holds is not UTF-8 text.") from exc
    if prompt is not None and prompt.strip():
        return prompt
    if optional and argument is None:
        return None
    raise click.UsageError('There is no question. Give it in quotes: contit-mcp ask "How many drafts are there?"')


def _show(outcome: Outcome, follow_up: str | None) -> None:
    if outcome.response is not None:
        show_answer(outcome.response)
        if is_terminal(sys.stderr):
            _show_aside(outcome, follow_up)
        return
    if outcome.error is not None:
        click.echo(f"error: {outcome.error}" if outcome.hint else outcome.error, err=True)
        if outcome.hint is not None:
            click.echo(f"hint: {outcome.hint}", err=True)
        if outcome.next_step is not None and outcome.thread_id is not None:
            click.echo(f"  {outcome.next_step}", err=True)
        return
    if outcome.exit_code is ExitCode.INTERRUPTED:
        said, without_a_handle = "Interrupted; the run goes on.", "Interrupted; the sandbox ended with it."
    else:
        said = without_a_handle = f"Still running after {duration(outcome.elapsed_seconds or 0)}."
    handle = f"{said} Its answer:\n  {outcome.next_step}"
    click.echo(without_a_handle if outcome.next_step is None else handle, err=True)


def _show_aside(outcome: Outcome, follow_up: str | None) -> None:
    """One quiet line after an answer: how long it took, and how to go on."""
    parts = []
    if not (outcome.response or "").strip():
        parts.append("The answer is empty.")
    if outcome.age_seconds is not None:
        parts.append(f"Given to the same question {duration(outcome.age_seconds)} ago, and not asked again.")
    elif outcome.elapsed_seconds is not None:
        parts.append(f"{outcome.elapsed_seconds} s.")
    parts.append(f"Go on: {follow_up}" if follow_up else "The sandbox forgets it now; contit-mcp sandbox keeps it.")
    click.echo(dim(" ".join(parts)), err=True)


def _write_what_can_be_written() -> None:
    """A character that a pipe's encoding lacks (Windows) becomes a question mark instead of a crash."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")

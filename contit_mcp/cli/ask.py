"""contit-mcp ask: a question from the terminal, and its answer. No server and no protocol take part."""

import json
import sys
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Literal

import anyio
import click
from click.shell_completion import CompletionItem

from contit_mcp.api import RETURNED, Assistant, Run
from contit_mcp.assistant.reports import Observer
from contit_mcp.cli.options import GivenOptions, credential_name, given_options, no_credential
from contit_mcp.cli.sandbox import SandboxChoice, embedded_sandbox
from contit_mcp.cli.terminal import (
    INTERRUPTED,
    Interruption,
    Spinner,
    as_printed,
    dim,
    duration,
    error_text,
    is_terminal,
    our_command,
    shell_line,
    show_answer,
)
from contit_mcp.config.settings import Settings
from contit_mcp.contit.wire import id_problem
from contit_mcp.errors import (
    AnswerUnavailableError,
    APIError,
    ConfigurationError,
    ContitError,
    InvalidArgumentError,
    RunError,
    RunNotFoundError,
    RunUnreachableError,
    ServerClosingError,
    ThreadBusyError,
)
from contit_mcp.runs.store import MOST_RECENT
from contit_mcp.server.context import AppContext

if TYPE_CHECKING:
    import httpx

_MOST_BYTES = 1_000_000
"""Read of stdin; far more than a prompt may have, so that one that is too long gets that error."""


def _complete_thread(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return complete(ctx, incomplete, "thread_id")


def complete(ctx: click.Context, incomplete: str, name: Literal["thread_id", "run_id"]) -> list[CompletionItem]:
    """Return the remembered ids that begin with what was typed, each with its title; none if there is no store."""
    options = (ctx.parent.params if ctx.parent else {}) | ctx.params
    given = GivenOptions(options.get("config"), options.get("base_url"), "ERROR")
    try:
        runs = anyio.run(remembered, usable_settings(given), MOST_RECENT)
    except ContitError:
        return []  # a shell has no place for it; the command itself reports the error
    titles = {str(getattr(run, name)): run.title for run in reversed(runs)}
    return [CompletionItem(each, help=titles[each]) for each in reversed(titles) if each.startswith(incomplete)]


def usable_settings(given: GivenOptions) -> Settings:
    """Return the settings, with a credential in them.

    Raises:
        ConfigurationError: They cannot be used, or there is no credential.
    """
    settings = given.load(quiet=True, stored=True)
    if credential_name(settings) is None:
        raise no_credential()
    return settings


async def remembered(settings: Settings, limit: int) -> list[Run]:
    """Return the newest remembered runs."""
    async with Assistant.from_context(AppContext(settings)) as contit:
        return await contit.runs(limit)


@click.command()
@click.argument("words", metavar="[PROMPT]", nargs=-1)
@click.option(
    "--thread", "thread_id", metavar="ID", help="Go on with this conversation.", shell_complete=_complete_thread
)
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
    words: tuple[str, ...],
    thread_id: str | None,
    last: bool,
    run_id: str | None,
    wait_seconds: float | None,
    as_json: bool,
    sandbox: SandboxChoice | None,
) -> None:
    """Ask Contit's assistant, and print its answer.

    PROMPT is one text in quotes, or several words. It is read from stdin if it is -, or if something is piped in. The
    answer goes to stdout: rendered on a terminal, plain in a pipe. All else goes to stderr. Ctrl-C leaves the run
    going, and prints the command that fetches its answer.

    \b
    Examples:
      contit-mcp ask --sandbox "How many drafts are there?"
      contit-mcp ask "List all published articles from March 2026"
      contit-mcp ask --last "Show me the second one"
      contit-mcp ask --last
      echo "How many drafts are there?" | contit-mcp ask
      contit-mcp ask --json "Any drafts?" | jq -r '.response // .error'

    \b
    Exit codes:
      0    answered
      1    an error, or the run failed
      2    wrong usage
      3    still running after --wait-seconds
      130  interrupted
    """
    commands = NextCommands(given, as_json=as_json, forgetful=sandbox is not None)
    follow_up = None
    try:
        prompt = " ".join(words) if words else None
        _refuse_contradictions(prompt, thread_id, run_id, last=last, sandbox=sandbox is not None)
        if run_id is None:
            prompt = _read_prompt(prompt, optional=last or thread_id is not None)
        request = Request(prompt, thread_id, run_id, wait_seconds)
        outcome, follow_up = _get(request, given, commands, sandbox, last=last)
    except click.UsageError as error:
        if not as_json:
            raise
        outcome = Outcome("failed", ExitCode.USAGE, error=error.format_message())
    except ContitError as error:
        outcome = outcome_of_error(error, commands)
    except KeyboardInterrupt:
        outcome = nothing_started()
    finish(ctx, outcome, follow_up, as_json=as_json)


def finish(ctx: click.Context, outcome: "Outcome", follow_up: str | None, *, as_json: bool) -> None:
    """Print the outcome, and end the command with its exit code."""
    if as_json:
        echo_json(outcome.for_scripts())
    else:
        _show(outcome, follow_up)
    ctx.exit(outcome.exit_code)


def echo_json(value: object) -> None:
    """Print one JSON object on a line, escaped where the locale lacks its characters."""
    utf = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(value, ensure_ascii=not utf))


def _refuse_contradictions(
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
    """Return the question, from the argument or from stdin; None if there is none and none is needed."""
    prompt = argument
    if argument == "-" or (argument is None and sys.stdin is not None and not sys.stdin.isatty()):
        try:
            prompt = sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8-sig").strip()
        except UnicodeDecodeError as exc:
            raise click.UsageError("stdin does not hold UTF-8 text.") from exc
    if prompt is not None and prompt.strip():
        return prompt
    if optional and argument is None:
        return None
    raise click.UsageError('There is no question. Give it in quotes: contit-mcp ask "How many drafts are there?"')


# --- asking


@dataclass(frozen=True, slots=True)
class Request:
    """An answer to a prompt (None: that of a run), in a conversation; `wait_seconds` is None until the run ends."""

    prompt: str | None
    thread_id: str | None = None
    run_id: str | None = None
    wait_seconds: float | None = None


def _get(
    request: Request, given: GivenOptions, commands: "NextCommands", sandbox: SandboxChoice | None, *, last: bool
) -> tuple["Outcome", str | None]:
    """Return the outcome, and the command that asks on in its conversation."""
    settings = given.load(sandbox=commands.forgetful, quiet=True, stored=True)
    transport = sandbox.transport() if sandbox else None
    outcome = anyio.run(partial(get_answer, request, settings, commands, last=last, transport=transport))
    if commands.forgetful:
        return outcome, None
    newest = (last or request.prompt is not None) and settings.store_location().kind != "memory"
    return outcome, commands.go_on(None if newest else outcome.thread_id)


class _Follower(Observer):
    """Keeps the ids of the run for an interruption, and shows Contit's word for its state on the spinner."""

    def __init__(self, spinner: Spinner) -> None:
        self.ids: tuple[str | None, str | None] = None, None
        self._spinner = spinner

    def started(self, thread_id: str, run_id: str) -> None:
        """Note the ids: from here on nothing can be lost."""
        self.ids = thread_id, run_id
        self.status("in_progress")

    def status(self, word: str) -> None:
        """Show Contit's word for the run."""
        self._spinner.say(f"{word[:40]}  (Ctrl-C: leave it running)" if self.ids[1] else f"thread busy: {word[:40]}")


async def get_answer(
    request: Request,
    settings: Settings,
    commands: "NextCommands",
    *,
    last: bool = False,
    transport: "httpx.AsyncBaseTransport | None" = None,
) -> "Outcome":
    """Ask or fetch, and wait.

    Args:
        request: What is wanted.
        settings: The configuration.
        commands: What can be done next.
        last: Whether it is about the newest remembered conversation.
        transport: Replaces the network: the embedded sandbox.
    """
    spinner, interruption = Spinner(), Interruption()
    spinner.say("asking Contit" if request.prompt is not None else "looking at the run")
    follower = _Follower(spinner)
    with spinner.shown():
        async with anyio.create_task_group() as beside:
            beside.start_soon(spinner.turn)
            try:
                async with Assistant.from_context(AppContext(settings, replay=RETURNED, transport=transport)) as contit:
                    if credential_name(settings) is None:
                        raise no_credential()
                    if last:
                        request = await _about_the_newest(request, contit)
                    run = await _wait(request, contit, follower, interruption, spinner)
                outcome = outcome_of(run, commands, interrupted=interruption.happened)
            except ContitError as error:
                outcome = outcome_of_error(error, commands, about=follower.ids, interrupted=interruption.happened)
            beside.cancel_scope.cancel()
    return outcome


async def _wait(
    request: Request, contit: Assistant, follower: _Follower, interruption: Interruption, spinner: Spinner
) -> Run:
    def leave() -> None:
        spinner.say("leaving (Ctrl-C: at once)")
        contit.close()

    with interruption.watched(first=leave, second=spinner.leave_at_once):
        if request.prompt is not None:
            return await contit.ask(
                request.prompt, request.thread_id, wait_seconds=request.wait_seconds, observer=follower
            )
        assert request.thread_id is not None  # noqa: S101 - the command line has checked it
        return await contit.response(
            request.thread_id, request.run_id, wait_seconds=request.wait_seconds, observer=follower
        )


async def _about_the_newest(request: Request, contit: Assistant) -> Request:
    """Return the request with the newest conversation in it; without a prompt, with its run.

    Raises:
        NoConversationError: None is remembered.
    """
    for run in await contit.runs(1):
        return replace(request, thread_id=run.thread_id, run_id=run.run_id if request.prompt is None else None)
    raise NoConversationError(
        "No conversation with this Contit and this credential is remembered; a day is as long as one is.",
        hint="Ask a question without --last first, or name the conversation with --thread.",
    )


class NoConversationError(ContitError):
    """There is no last conversation to go on with."""


# --- the outcome: for the person, for the script (`--json`), and as an exit code


class ExitCode(IntEnum):
    """What a script can tell from `$?`."""

    ANSWERED = 0
    FAILED = 1
    USAGE = 2
    STILL_RUNNING = 3
    INTERRUPTED = INTERRUPTED


@dataclass(frozen=True, slots=True)
class Outcome:
    """The keys of the tools' result, the exit code, and of an error one line, its hint and the command to run now.

    `age_seconds` is the age of an answer that was given again to the same question.
    """

    status: Literal["completed", "in_progress", "failed"]
    exit_code: ExitCode
    thread_id: str | None = None
    run_id: str | None = None
    response: str | None = None
    elapsed_seconds: float | None = None
    age_seconds: float | None = None
    error: str | None = None
    next_step: str | None = None
    hint: str | None = None

    def for_scripts(self) -> dict[str, object]:
        """Return the JSON object: unknown values are left out, and an error carries its hint."""
        said = replace(self, error=f"{self.error} {self.hint}") if self.error and self.hint else self
        found = asdict(said)
        return {key: value for key, value in found.items() if value is not None and key not in {"exit_code", "hint"}}


@dataclass(frozen=True, slots=True)
class NextCommands:
    """The commands that make sense after an ask, to copy.

    Attributes:
        given: The options that lead to the same Contit.
        as_json: Whether `--json` is given; then the next command gives JSON too.
        forgetful: Whether the sandbox in this process answers: nothing can be fetched from it later.
    """

    given: GivenOptions
    as_json: bool = False
    forgetful: bool = False

    def fetch(self, thread_id: str | None, run_id: str | None) -> str | None:
        """Return the command that waits for that run's answer."""
        if thread_id is None or self.forgetful:
            return None
        run = () if run_id is None else ("--run", run_id)
        return self.line("ask", "--thread", thread_id, *run, *(("--json",) if self.as_json else ()))

    def go_on(self, thread_id: str | None) -> str:
        """Return the command that asks in the same conversation: the last one, or the one with this id."""
        which = ("--last",) if thread_id is None else ("--thread", thread_id)
        return f'{self.line("ask", *which)} "..."'

    def line(self, *words: str) -> str:
        """Return the command of these words, with the options that lead to the same Contit."""
        return f"{our_command()} {shell_line(*words, *self.given.arguments())}"


def outcome_of(run: Run, commands: NextCommands, *, interrupted: bool) -> Outcome:
    """Return the outcome of a report; a failed run is an error, and never comes as a run."""
    elapsed = None if run.elapsed_seconds is None else round(run.elapsed_seconds, 1)
    ids = run.thread_id, run.run_id
    if run.status == "completed":
        return Outcome("completed", ExitCode.ANSWERED, *ids, run.response, elapsed, run.age_seconds)
    code = ExitCode.INTERRUPTED if interrupted else ExitCode.STILL_RUNNING
    return Outcome("in_progress", code, *ids, elapsed_seconds=elapsed, next_step=commands.fetch(*ids))


def outcome_of_error(
    error: ContitError,
    commands: NextCommands,
    *,
    about: tuple[str | None, str | None] = (None, None),
    interrupted: bool = False,
) -> Outcome:
    """Return the outcome of an error.

    Args:
        error: What went wrong.
        commands: What can be done next.
        about: The ids of the run that was asked about, for errors that have none: the run itself goes on.
        interrupted: Whether the person wanted to leave.
    """
    if isinstance(error, ServerClosingError):
        return nothing_started()
    thread_id, run_id = (error.thread_id, error.run_id) if isinstance(error, RunError) else about
    goes_on = run_id is not None and (
        not isinstance(error, RunError) or isinstance(error, RunUnreachableError | ThreadBusyError)
    )
    code = ExitCode.INTERRUPTED if interrupted else ExitCode.FAILED
    if isinstance(error, InvalidArgumentError):
        code = ExitCode.USAGE
    step = None
    if goes_on:
        step = commands.fetch(thread_id, run_id)
    elif isinstance(error, AnswerUnavailableError) and error.replaced:
        step = commands.fetch(thread_id, None)
    elif isinstance(error, APIError | ConfigurationError) and not commands.forgetful:
        step = commands.line("check")
    status: Literal["in_progress", "failed"] = "in_progress" if goes_on else "failed"
    return Outcome(status, code, thread_id, run_id, error=error.message, next_step=step, hint=_hint(error))


def nothing_started() -> Outcome:
    """Return the outcome of an interruption before there was a run."""
    return Outcome("failed", ExitCode.INTERRUPTED, error="Interrupted; nothing was started.")


def _hint(error: ContitError) -> str:
    """Return what to do, for a person at a terminal: the errors' own hints name tools."""
    cause = error.__cause__
    match error:
        case RunUnreachableError() if isinstance(cause, APIError):
            return f"{cause.hint} Then fetch its answer; do not ask again."
        case RunNotFoundError():
            return "Use the ids as contit-mcp ask printed them, with the same credential; or ask without them."
        case ThreadBusyError(run_id=None):
            return "Wait a little and ask again, or begin a new conversation: ask without --thread and --last."
        case ThreadBusyError():
            return "Wait for that run's answer, then ask again."
        case AnswerUnavailableError(replaced=True):
            return "Look at the conversation's latest answer, or ask the question again."
        case _:
            return error.hint


def _show(outcome: Outcome, follow_up: str | None) -> None:
    if outcome.response is not None:
        show_answer(outcome.response)
        if not outcome.response.strip():
            click.echo("Contit's answer is empty.", err=True)
        if is_terminal(sys.stderr):
            click.echo(dim(_aside(outcome, follow_up)), err=True)
        return
    interrupted = outcome.exit_code is ExitCode.INTERRUPTED
    step = f"\n  {outcome.next_step}" if outcome.next_step and outcome.thread_id else ""
    if outcome.error is not None:
        said = error_text(outcome.error, outcome.hint) if outcome.hint else outcome.error
    elif interrupted and not step:
        said = "Interrupted; the sandbox ended with it."
    elif interrupted:
        said = "Interrupted. Contit is still working on it; fetch the answer with:"
    else:
        said = f"Still running after {duration(outcome.elapsed_seconds or 0)}."
        said += " Fetch the answer with:" if step else ""
    click.echo(said + step, err=True)


def _aside(outcome: Outcome, follow_up: str | None) -> str:
    """Return the line after an answer: how long it took, and how to go on."""
    took = "" if outcome.elapsed_seconds is None else f"{outcome.elapsed_seconds} s. "
    if outcome.age_seconds is not None:
        took = f"Given to the same question {duration(outcome.age_seconds)} ago, and not asked again. "
    forgotten = as_printed("The sandbox forgets it now; contit-mcp sandbox keeps it.")
    return took + (f"Go on: {follow_up}" if follow_up else forgotten)

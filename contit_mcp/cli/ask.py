"""contit-mcp ask and runs: a question from the terminal, its answer, and the remembered questions."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

import anyio
import click
from click.shell_completion import CompletionItem

from contit_mcp import errors
from contit_mcp.api import Assistant, Run
from contit_mcp.assistant.reports import Observer
from contit_mcp.cli import terminal
from contit_mcp.cli.options import GivenOptions, WrongUsage, credential_name, given_options, no_credential
from contit_mcp.cli.sandbox import embedded_sandbox
from contit_mcp.config.settings import Settings
from contit_mcp.contit.wire import id_problem
from contit_mcp.runs.store import MOST_RECENT
from contit_mcp.server.context import AppContext
from contit_mcp.telemetry.call_stats import Listener

if TYPE_CHECKING:
    import httpx

Ids: TypeAlias = tuple[str | None, str | None]  # thread_id, run_id
Transport: TypeAlias = "httpx.AsyncBaseTransport | None"

ANSWERED, FAILED, USAGE, STILL_RUNNING = range(4)  # the exit codes, beside terminal.INTERRUPTED


def _complete_thread(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    given = GivenOptions(ctx.params.get("config"), ctx.params.get("base_url"), "ERROR")
    try:
        runs = anyio.run(remembered, given.load())
    except errors.ContitError:
        return []  # a completion cannot show an error; the command itself reports it
    titles = {run.thread_id: run.title for run in runs}
    return [CompletionItem(each, help=title) for each, title in titles.items() if each.startswith(incomplete)]


def _checked_id(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and (problem := id_problem(value)):
        raise click.BadParameter(f"the id {problem}.")
    return value


@click.command()
@click.argument("words", metavar="[PROMPT]", nargs=-1)
@click.option(
    "--thread", "thread_id", callback=_checked_id, shell_complete=_complete_thread, help="Continue this thread."
)
@click.option("--last", is_flag=True, help="Continue the most recent thread; without PROMPT, fetch its answer.")
@click.option("--run", "run_id", metavar="ID", callback=_checked_id, help="Fetch this run's answer (with --thread).")
@click.option(
    "--wait-seconds", type=click.FloatRange(0, 86_400), help="How long to wait; without it, until the run ends."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, also of errors and interruptions.")
@embedded_sandbox
@given_options
def command(
    given: GivenOptions,
    *,
    words: tuple[str, ...],
    thread_id: str | None,
    last: bool,
    run_id: str | None,
    wait_seconds: float | None,
    as_json: bool,
    transport: Transport,
) -> None:
    """Ask Contit's assistant a question, and print the answer.

    PROMPT is one text in quotes, or several words. It is read from stdin if it is -, or if something is piped in. The
    answer goes to stdout: rendered on a terminal, plain in a pipe. All else goes to stderr. After Ctrl-C Contit
    continues, and the command that fetches the answer is printed.

    \b
    Examples:
      contit-mcp ask --sandbox "How many drafts are there?"
      contit-mcp ask "List all published articles from March 2026"
      contit-mcp ask --last "Show me the second one"
      contit-mcp ask --last
      echo "How many drafts are there?" | contit-mcp ask
      contit-mcp ask --json "Drafts?" | jq -r '.response // .error // .next_step'

    \b
    Exit codes:
      0    answered
      1    an error, or the run failed
      2    wrong usage
      3    still running after --wait-seconds
      130  interrupted
    """
    prompt = " ".join(words) if words else None
    if last and thread_id:
        raise WrongUsage("--last and --thread name two threads.", "Keep one of them.")
    if run_id and not thread_id:
        raise WrongUsage("--run needs the thread that the run is on.", "Add --thread ID.")
    if run_id and prompt:
        raise WrongUsage("--run fetches an answer and takes no PROMPT.", "Leave --run out to ask.")
    if transport and (last or thread_id):
        hint = "Run contit-mcp sandbox in another terminal, then run in this one the export line that it prints."
        raise WrongUsage("With --sandbox, threads end with the command.", hint)
    if run_id is None:
        prompt = _read_prompt(prompt, optional=last or thread_id is not None)
    settings = given.load(sandbox=transport is not None)
    if last:
        runs = anyio.run(remembered, settings)
        if not runs:
            raise errors.ContitError(
                "No thread with this Contit and this credential is remembered; threads are remembered for a day.",
                hint="Ask a question without --last first, or name the thread with --thread.",
            )
        thread_id, run_id = runs[0].thread_id, runs[0].run_id
    finish(settings, Wanted(given, prompt, thread_id, run_id, wait_seconds, as_json, transport))


def _read_prompt(argument: str | None, *, optional: bool) -> str | None:
    """Return the question, from the argument or from stdin; None if there is none and none is needed."""
    prompt = argument
    if argument == "-" or (argument is None and not sys.stdin.isatty()):
        try:
            prompt = sys.stdin.buffer.read(1_000_000).decode("utf-8-sig").strip()
        except UnicodeDecodeError as exc:
            raise WrongUsage("stdin does not hold UTF-8 text.", "Convert it to UTF-8.") from exc
    if prompt is not None and prompt.strip():
        return prompt
    if optional and argument is None:
        return None
    raise WrongUsage("There is no question.", 'Give it in quotes: contit-mcp ask "How many drafts are there?"')


# --- asking


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask or, without a prompt, to fetch. Without `wait_seconds` the wait lasts until the run ends."""

    given: GivenOptions
    prompt: str | None = None
    thread_id: str | None = None
    run_id: str | None = None
    wait_seconds: float | None = None
    as_json: bool = False
    transport: Transport = None  # to the sandbox in this process, which forgets at its end

    def next_command(self, *words: str) -> str:
        """Return the command of these words, with the options that lead to the same Contit."""
        return f"{terminal.our_command()} {terminal.shell_line(*words, *self.given.arguments())}"

    def fetch_command(self, thread_id: str | None, run_id: str | None) -> str | None:
        """Return the command that waits for that run's answer; None if no later command can fetch it."""
        if thread_id is None or self.transport:
            return None
        run = () if run_id is None else ("--run", run_id)
        return self.next_command("ask", "--thread", thread_id, *run, *(("--json",) if self.as_json else ()))


class _Follower(Observer, Listener):
    """Keeps the ids of the run for an interruption, shows Contit's word for its state, and notes an unusable store."""

    def __init__(self, show: Callable[[str], object] = str) -> None:
        self.ids: Ids = None, None
        self.interrupted = False
        self.stored = True
        self.show = show

    def started(self, thread_id: str, run_id: str) -> None:
        self.ids = thread_id, run_id
        self.status("in_progress")

    def status(self, word: str) -> None:
        state = "Contit is working" if word == "in_progress" else word[:40]
        self.show(f"{state} (Ctrl-C ends the wait)" if self.ids[1] else f"thread busy: {word[:40]}")

    def store_usable(self, *, usable: bool) -> None:
        self.stored = usable


def _assistant(follower: _Follower, settings: Settings, transport: Transport = None) -> Assistant:
    if credential_name(settings) is None:
        raise no_credential()
    return Assistant.from_context(AppContext(settings, replays=False, transport=transport, store_listener=follower))


async def remembered(settings: Settings) -> list[Run]:
    """Return the newest remembered runs. Raises StoreError if the store cannot be used: some would be missing."""
    follower = _Follower()
    async with _assistant(follower, settings) as contit:
        runs = await contit.runs(MOST_RECENT)
    if not follower.stored:
        raise errors.StoreError("The run store cannot be used.", hint="contit-mcp check says why.")
    return runs


async def get_answer(settings: Settings, wanted: Wanted) -> "Outcome":
    """Ask or fetch, and wait."""
    text = "asking Contit" if wanted.prompt is not None else "fetching the answer"
    with terminal.spinner(text, drawn="log_level" not in settings.model_fields_set) as show:
        follower = _Follower(show)
        try:
            async with _assistant(follower, settings, wanted.transport) as contit:
                if wanted.prompt is not None:
                    call = partial(contit.ask, wanted.prompt, wanted.thread_id)
                else:
                    call = partial(contit.response, str(wanted.thread_id), wanted.run_id)

                def leave() -> None:
                    follower.interrupted = True
                    show("leaving (Ctrl-C: at once)")
                    contit.close()

                with terminal.interruptible(leave):
                    run = await call(wait_seconds=wanted.wait_seconds, observer=follower)
        except errors.ContitError as error:
            return outcome_of_error(error, wanted, settings.base_url, follower.ids, interrupted=follower.interrupted)
    if not follower.stored:
        click.echo(f"note: The run is not remembered; {terminal.our_command()} check says why.", err=True)
    elapsed = None if run.elapsed_seconds is None else round(run.elapsed_seconds, 1)
    ids = run.thread_id, run.run_id
    if run.status == "completed":
        return Outcome("completed", ANSWERED, *ids, run.response, elapsed, run.age_seconds)
    code = terminal.INTERRUPTED if follower.interrupted else STILL_RUNNING
    return Outcome("in_progress", code, *ids, elapsed_seconds=elapsed, next_step=wanted.fetch_command(*ids))


# --- the outcome: for the person, for the script (`--json`), and as an exit code


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fields of a tool's result, the exit code, and for an error its line, its hint and the next command."""

    status: Literal["completed", "in_progress", "failed"]
    exit_code: int
    thread_id: str | None = None
    run_id: str | None = None
    response: str | None = None
    elapsed_seconds: float | None = None
    age_seconds: float | None = None  # of an answer that is returned again to the same question
    error: str | None = None
    hint: str | None = None
    next_step: str | None = None


_HINTS: dict[type[errors.ContitError], str] = {  # for a person at a terminal: the errors' own hints name tools
    errors.RunNotFoundError: "Use the ids as contit-mcp runs lists them, with the same credential; or ask again.",
    errors.ThreadBusyError: "Wait a little and ask again, or begin a new thread, without --thread and --last.",
    errors.StartUnknownError: "Ask again; it may then run twice. contit-mcp check says whether Contit answers.",
    errors.AnswerUnavailableError: "Ask again. contit-mcp ask --thread ID fetches the thread's latest answer.",
    errors.AnswerUnreadableError: "Fetch it once more; if that says the same, ask the question again.",
}


def outcome_of_error(
    error: errors.ContitError, wanted: Wanted, base_url: str, ids: Ids = (None, None), *, interrupted: bool = False
) -> Outcome:
    """Return the outcome of an error; `ids` are those of a run that has started, for errors without ids."""
    if isinstance(error, errors.ServerClosingError):
        return Outcome("failed", terminal.INTERRUPTED, error="Interrupted; nothing was started.")
    goes_on = ids[1] is not None
    if isinstance(error, errors.RunError):
        ids = error.thread_id, error.run_id
        goes_on = ids[1] is not None and isinstance(error, errors.RunUnreachableError | errors.ThreadBusyError)
    step = wanted.fetch_command(*ids) if goes_on or isinstance(error, errors.AnswerUnreadableError) else None
    code = terminal.INTERRUPTED if interrupted else FAILED
    if isinstance(error, errors.InvalidArgumentError):
        code = USAGE
    message, hint = error.message, _HINTS.get(type(error), error.hint)
    hint = hint.replace("call contit_response with these ids", "fetch its answer")
    if isinstance(error, errors.APIConnectionError) and error.__cause__ and "not trusted" not in message:
        from contit_mcp.cli.findings import explain_connection  # noqa: PLC0415 - start-up time

        reason, hint = explain_connection(error, base_url)
        message = f"{message.removesuffix('.')}: {reason}."
    return Outcome("in_progress" if goes_on else "failed", code, *ids, error=message, hint=hint, next_step=step)


def finish(settings: Settings, wanted: Wanted) -> NoReturn:
    """Ask or fetch, print the outcome, and end the command with its exit code."""
    outcome = anyio.run(get_answer, settings, wanted)
    if wanted.as_json:
        fields = _without_none(outcome)
        del fields["exit_code"]
        click.echo(json.dumps(fields))
    elif outcome.response is None:
        click.echo(_unanswered_text(outcome), err=True)
    else:
        terminal.show_answer(outcome.response)
        if not outcome.response.strip():
            click.echo("Contit's answer is empty.", err=True)
        if terminal.is_terminal(sys.stderr):
            click.echo(_after_answer(outcome, wanted), err=True)
    sys.exit(outcome.exit_code)


def _without_none(values: Outcome | Run) -> dict[str, Any]:
    return {name: value for name, value in asdict(values).items() if value is not None}


def _unanswered_text(outcome: Outcome) -> str:
    step = f"\n  {outcome.next_step}" if outcome.next_step and outcome.thread_id else ""
    if outcome.error is not None:
        return (terminal.error_text(outcome.error, outcome.hint) if outcome.hint else outcome.error) + step
    interrupted = outcome.exit_code == terminal.INTERRUPTED
    said = "Interrupted" if interrupted else f"Still running after {outcome.elapsed_seconds or 0:.0f} s"
    if not step:
        return f"{said}; the sandbox ended with this command."
    return f"{said}. Contit is still working on it; fetch the answer with:{step}"


def _after_answer(outcome: Outcome, wanted: Wanted) -> str:
    took = "" if outcome.elapsed_seconds is None else f"{outcome.elapsed_seconds} s. "
    if outcome.age_seconds is not None:
        took = f"Given to the same question {outcome.age_seconds:.0f} s ago, and not asked again. "
    if wanted.transport or outcome.thread_id is None:
        return took + terminal.as_printed("The sandbox forgets this thread now; contit-mcp sandbox keeps threads.")
    return f'{took}Go on: {wanted.next_command("ask", "--thread", outcome.thread_id)} "..."'


# --- contit-mcp runs: the remembered questions


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@given_options
@click.pass_context
def runs(ctx: click.Context, given: GivenOptions, *, as_json: bool) -> None:
    """List the remembered questions, newest first, each with its thread (conversation).

    Questions are remembered for a day, answers for an hour (CONTIT_MCP_ANSWER_SECONDS). The list includes the questions
    that hosts on this machine asked with the same credential. The title is the beginning of the question. To continue
    a thread, run contit-mcp ask --thread ID.

    \b
    Examples:
      contit-mcp runs
      contit-mcp runs --json | head
      contit-mcp ask "Any drafts?" && contit-mcp runs show 1
    """
    ctx.obj = given
    if ctx.invoked_subcommand is not None:
        if as_json:
            raise WrongUsage("--json before show is for the list.", "Put --json after show.")
        return
    found = anyio.run(remembered, given.load())
    if as_json:
        click.echo(json.dumps({"runs": [_without_none(run) for run in found]}))
        return
    for number, run in enumerate(found, start=1):
        asked_at = "" if run.asked_at is None else f"{datetime.fromtimestamp(run.asked_at).astimezone():%Y-%m-%d %H:%M}"
        title = terminal.without_controls(run.title or "")
        click.echo(f"{number:>3}  {asked_at:16}  {run.status:11}  {run.thread_id}  {title}".rstrip())
    if not found:
        click.echo("No question is remembered.", err=True)


@runs.command()
@click.argument("which", metavar="[RUN]", default="1")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as contit-mcp ask does.")
@click.pass_obj
def show(given: GivenOptions, *, which: str, as_json: bool) -> None:
    """Print an answer again. RUN is a number in the list (1 is the newest), or the id of a run or thread.

    The exit codes are those of contit-mcp ask.
    """
    settings = given.load()
    for number, run in enumerate(anyio.run(remembered, settings), start=1):
        if which in {str(number), run.run_id, run.thread_id}:
            finish(settings, Wanted(given, None, run.thread_id, run.run_id, wait_seconds=0, as_json=as_json))
    raise errors.ContitError(
        f"{which[:60]} is not a remembered question.", hint="contit-mcp runs lists them with their ids."
    )

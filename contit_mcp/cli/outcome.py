"""What came of an ask: for the person, for the script (`--json`), and as an exit code."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

from contit_mcp.assistant.reports import RunReport
from contit_mcp.cli.interruption import INTERRUPTED
from contit_mcp.cli.options import GivenOptions
from contit_mcp.cli.shell import shell_line
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
from contit_mcp.runs.record import Phase

_KEYS = ("status", "thread_id", "run_id", "response", "elapsed_seconds", "age_seconds", "error", "next_step")


class ExitCode(IntEnum):
    """What a script can tell from `$?`."""

    ANSWERED = 0
    FAILED = 1
    USAGE = 2
    STILL_RUNNING = 3
    INTERRUPTED = INTERRUPTED


@dataclass(frozen=True, slots=True)
class Outcome:
    """The keys of the tools' result, and what else a terminal needs.

    Attributes:
        status: Where the run stands.
        exit_code: For the shell.
        thread_id: The conversation.
        run_id: The run.
        response: The answer.
        elapsed_seconds: How long the run has taken.
        error: What went wrong, in one line.
        hint: What to do about it, in one line.
        next_step: The command to run now.
        age_seconds: How old an answer is that was given again to the same question.
    """

    status: Literal["completed", "in_progress", "failed"]
    exit_code: ExitCode
    thread_id: str | None = None
    run_id: str | None = None
    response: str | None = None
    elapsed_seconds: float | None = None
    error: str | None = None
    hint: str | None = None
    next_step: str | None = None
    age_seconds: float | None = None

    def for_scripts(self) -> dict[str, object]:
        """The JSON object: what is not known is left out, and an error carries its hint."""
        said = replace(self, error=f"{self.error} {self.hint}") if self.error and self.hint else self
        return {key: value for key in _KEYS if (value := getattr(said, key)) is not None}


@dataclass(frozen=True, slots=True)
class NextCommands:
    """The commands that make sense after an ask, as one can copy them.

    Attributes:
        given: The options that lead to the same Contit.
        as_json: Whether `--json` is asked for; then the next command gives JSON too.
        forgetful: Whether the sandbox in this process answers: nothing can be fetched from it later.
    """

    given: GivenOptions
    as_json: bool = False
    forgetful: bool = False

    def fetch(self, thread_id: str | None, run_id: str | None) -> str | None:
        """Waits for that run's answer."""
        if thread_id is None or self.forgetful:
            return None
        run = () if run_id is None else ("--run", run_id)
        return self._line("ask", "--thread", thread_id, *run, *(("--json",) if self.as_json else ()))

    def go_on(self, thread_id: str | None) -> str:
        """Asks in the same conversation: the last one, or the one with this id."""
        which = ("--last",) if thread_id is None else ("--thread", thread_id)
        return f'{self._line("ask", *which)} "..."'

    def check(self) -> str:
        """Tells what is wrong with the way to Contit."""
        return self._line("check")

    def _line(self, *words: str) -> str:
        return shell_line("contit-mcp", *words, *self.given.arguments())


def outcome_of(report: RunReport, commands: NextCommands, *, interrupted: bool) -> Outcome:
    """What a report means; a failed run is an error, and never comes as a report."""
    elapsed = None if report.elapsed_seconds is None else round(report.elapsed_seconds, 1)
    if report.phase is Phase.COMPLETED:
        return Outcome(
            "completed",
            ExitCode.ANSWERED,
            report.thread_id,
            report.run_id,
            report.response,
            elapsed,
            age_seconds=report.age_seconds,
        )
    return Outcome(
        "in_progress",
        ExitCode.INTERRUPTED if interrupted else ExitCode.STILL_RUNNING,
        report.thread_id,
        report.run_id,
        elapsed_seconds=elapsed,
        next_step=commands.fetch(report.thread_id, report.run_id),
    )


def outcome_of_error(
    error: ContitError,
    commands: NextCommands,
    *,
    about: tuple[str | None, str | None] = (None, None),
    interrupted: bool = False,
) -> Outcome:
    """What an error means.

    Args:
        error: What went wrong.
        commands: What can be done next.
        about: The ids of the run that was asked about, for errors that know none: the run itself goes on.
        interrupted: Whether the person wanted to leave.
    """
    if isinstance(error, ServerClosingError):
        return nothing_started()
    thread_id, run_id = (error.thread_id, error.run_id) if isinstance(error, RunError) else about
    goes_on = run_id is not None and (
        not isinstance(error, RunError) or isinstance(error, RunUnreachableError | ThreadBusyError)
    )
    if isinstance(error, InvalidArgumentError):
        code = ExitCode.USAGE
    else:
        code = ExitCode.INTERRUPTED if interrupted else ExitCode.FAILED
    step = None
    if goes_on:
        step = commands.fetch(thread_id, run_id)
    elif isinstance(error, AnswerUnavailableError) and error.replaced:
        step = commands.fetch(thread_id, None)
    elif isinstance(error, APIError | ConfigurationError) and not commands.forgetful:
        step = commands.check()
    return Outcome(
        "in_progress" if goes_on else "failed",
        code,
        thread_id,
        run_id,
        error=error.message,
        hint=_hint(error),
        next_step=step,
    )


def nothing_started() -> Outcome:
    """It was interrupted before there was a run."""
    return Outcome("failed", ExitCode.INTERRUPTED, error="Interrupted; nothing was started.")


def _hint(error: ContitError) -> str:
    """What to do, for a person at a terminal: errors speak of the tools where those are what to use."""
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

"""What an ask comes to: exit code, hint, and the command to run now."""

from pathlib import Path

import pytest

from contit_mcp import errors
from contit_mcp.api import Run
from contit_mcp.cli.ask import NextCommands, outcome_of, outcome_of_error
from contit_mcp.cli.options import GivenOptions

PLAIN = NextCommands(GivenOptions(None, None, None))
FETCH = "contit-mcp ask --thread t --run r"
UNREACHABLE = errors.APIConnectionError("Contit could not be reached.", hint="Try again.", may_have_arrived=False)


def unreachable_run() -> errors.RunUnreachableError:
    """As it is raised."""
    error = errors.RunUnreachableError("t", "r", UNREACHABLE)
    error.__cause__ = UNREACHABLE
    return error


@pytest.mark.parametrize(
    ("error", "about", "status", "code", "next_step"),
    [
        (errors.RunFailedError("t", "r"), (None, None), "failed", 1, None),
        (errors.RunTimeoutError("t", "r", after_seconds=1800), (None, None), "failed", 1, None),
        (errors.RunNotFoundError("t", "r"), (None, None), "failed", 1, None),
        (unreachable_run(), (None, None), "in_progress", 1, FETCH),
        (errors.ThreadBusyError("t", "r"), (None, None), "in_progress", 1, FETCH),
        (errors.ThreadBusyError("t", None), (None, None), "failed", 1, None),
        (errors.AnswerUnavailableError("t", "r", replaced=True), (None, None), "failed", 1, FETCH[:-8]),
        (errors.AnswerUnavailableError("t", "r", replaced=False), (None, None), "failed", 1, None),
        (errors.StartUnknownError(None), (None, None), "failed", 1, None),
        (errors.InvalidArgumentError("Too long.", hint="Cut."), (None, None), "failed", 2, None),
        (UNREACHABLE, (None, None), "failed", 1, "contit-mcp check"),
        (UNREACHABLE, ("t", "r"), "in_progress", 1, FETCH),
        (errors.ServerClosingError(), (None, None), "failed", 130, None),
    ],
)
def test_every_error_has_its_exit_code_and_names_no_tool(
    error: errors.ContitError, about: tuple[str | None, str | None], status: str, code: int, next_step: str | None
) -> None:
    outcome = outcome_of_error(error, PLAIN, about=about)
    assert (outcome.status, outcome.exit_code, outcome.next_step) == (status, code, next_step)
    assert "contit_" not in f"{outcome.error} {outcome.hint}"
    assert "this server" not in f"{outcome.hint}"


def test_an_error_after_an_interruption_ends_as_interrupted() -> None:
    assert outcome_of_error(errors.StartUnknownError(None), PLAIN, interrupted=True).exit_code == 130


def test_the_next_command_leads_to_the_same_contit_from_any_folder() -> None:
    given = GivenOptions(Path("my settings.toml"), "http://localhost:8787", "DEBUG")
    commands = NextCommands(given, as_json=True)
    config = Path("my settings.toml").absolute()
    assert commands.fetch("t;rm", "r") == (
        f"contit-mcp ask --thread 't;rm' --run r --json --config '{config}' --base-url http://localhost:8787"
    )
    assert NextCommands(given, forgetful=True).fetch("t", "r") is None
    assert PLAIN.go_on(None) == 'contit-mcp ask --last "..."'
    assert PLAIN.go_on("t") == 'contit-mcp ask --thread t "..."'


def test_an_answer_given_again_says_how_old_it_is() -> None:
    report = Run("completed", "t", "r", response="Yes.", elapsed_seconds=2.04, age_seconds=40.0)
    outcome = outcome_of(report, PLAIN, interrupted=False)
    assert outcome.age_seconds == 40.0
    assert outcome.for_scripts() == {
        "status": "completed",
        "thread_id": "t",
        "run_id": "r",
        "response": "Yes.",
        "elapsed_seconds": 2.0,
        "age_seconds": 40.0,
    }

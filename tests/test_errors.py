"""Every error with a text of its own says what happened and what to do now, in one line each."""

import re

import pytest

from contit_mcp import errors
from contit_mcp.assistant.reports import RunReport
from contit_mcp.errors import ContitError
from contit_mcp.runs.record import Phase
from contit_mcp.server.results import error_result, state_result

CAUSE = errors.APITimeoutError("Contit did not answer in time.", hint="Try again.", may_have_arrived=True)
EXAMPLES: list[ContitError] = [
    errors.ServerClosingError(),
    errors.UnexpectedError(),
    errors.RunFailedError("thread_9", "run_9"),
    errors.RunTimeoutError("thread_9", "run_9", after_seconds=1_800),
    errors.RunNotFoundError("thread_9"),
    errors.RunUnreachableError("thread_9", "run_9", CAUSE),
    errors.AnswerUnavailableError("thread_9", "run_9", replaced=True),
    errors.AnswerUnavailableError("thread_9", "run_9", replaced=False),
    errors.AnswerUnreadableError("thread_9", "run_9"),
    errors.ThreadBusyError("thread_9", "run_9"),
    errors.ThreadBusyError("thread_9", None),
    errors.StartUnknownError("thread_9"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_says_in_one_line_what_happened_and_in_one_what_to_do(error: ContitError) -> None:
    for text in (str(error), error.hint):
        assert text.endswith(".")
        assert "\n" not in text
        assert text == text.strip() != ""


def test_an_unreachable_run_says_why_and_what_to_do_first() -> None:
    error = errors.RunUnreachableError("thread_9", "run_9", CAUSE)
    assert CAUSE.message in error.message
    assert error.hint.startswith(CAUSE.hint)
    assert "do not ask again" in error.hint


def test_no_text_has_a_character_after_an_id_that_a_model_could_take_for_a_part_of_it() -> None:
    """An id is in quotes."""
    about = ("thread_9", "run_9")
    results = [error_result(error, about=about) for error in EXAMPLES]
    results += [state_result(RunReport(phase, *about)) for phase in Phase if phase is not Phase.STARTING]
    said = [(result.structured_content or {}) | {"text": repr(result.content)} for result in results]
    texts = [f" {each.get(name)} " for each in said for name in ("error", "next_step", "text")]
    assert set(re.findall("..(?:thread|run)_9.", "".join(texts))) == {'="thread_9"', '="run_9"'}

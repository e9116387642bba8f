"""Every error with a text of its own says what happened and what to do now, in one line each."""

import pytest

from contit_mcp import errors
from contit_mcp.errors import ContitError

CAUSE = errors.APITimeoutError("Contit did not answer in time.", hint="Try again.", may_have_arrived=True)
EXAMPLES: list[ContitError] = [
    errors.ServerClosingError(),
    errors.UnexpectedError(),
    errors.RunFailedError("t", "r"),
    errors.RunTimeoutError("t", "r", after_seconds=1_800),
    errors.RunNotFoundError("t"),
    errors.RunUnreachableError("t", "r", CAUSE),
    errors.AnswerUnavailableError("t", "r", replaced=True),
    errors.AnswerUnavailableError("t", "r", replaced=False),
    errors.AnswerUnreadableError("t", "r"),
    errors.ThreadBusyError("t", "r"),
    errors.ThreadBusyError("t", None),
    errors.StartUnknownError("t"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_says_in_one_line_what_happened_and_in_one_what_to_do(error: ContitError) -> None:
    for text in (str(error), error.hint):
        assert text.endswith(".")
        assert "\n" not in text
        assert text == text.strip() != ""


def test_an_unreachable_run_says_why_and_what_to_do_first() -> None:
    error = errors.RunUnreachableError("t", "r", CAUSE)
    assert CAUSE.message in error.message
    assert error.hint.startswith(CAUSE.hint)
    assert "do not ask again" in error.hint

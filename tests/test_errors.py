"""Every error of ours says what happened and what to do now, in one line each, and carries what callers need."""

import pytest

from contit_mcp import errors
from contit_mcp.errors import ContitError

CAUSE = errors.APITimeoutError("Contit did not answer in time.", hint="Try again.", may_have_arrived=True)

EXAMPLES: list[ContitError] = [
    errors.ConfigurationError("m.", hint="h."),
    errors.InvalidArgumentError("m.", hint="h."),
    errors.ServerClosingError(),
    errors.StoreError("The store is down.", hint="Look at it."),
    errors.APIConnectionError("m.", hint="h.", may_have_arrived=False),
    CAUSE,
    errors.APIStatusError("m.", hint="h.", status_code=418),
    errors.BadRequestError("m.", hint="h.", status_code=400),
    errors.AuthenticationError("m.", hint="h.", status_code=401),
    errors.PermissionDeniedError("m.", hint="h.", status_code=403),
    errors.NotFoundError("m.", hint="h.", status_code=404),
    errors.ConflictError("m.", hint="h.", status_code=409),
    errors.UnprocessableEntityError("m.", hint="h.", status_code=422),
    errors.RateLimitError("m.", hint="h.", status_code=429, retry_after=3.0),
    errors.RedirectError("m.", hint="h.", status_code=302),
    errors.InternalServerError("m.", hint="h.", status_code=500),
    errors.APIResponseValidationError("m.", hint="h."),
    errors.RunFailedError("t", "r"),
    errors.RunFailedError(None, None),
    errors.RunTimeoutError("t", "r", after_seconds=1_800),
    errors.RunNotFoundError("t", "r"),
    errors.RunNotFoundError("t", None),
    errors.RunUnreachableError("t", "r", CAUSE),
    errors.AnswerUnavailableError("t", "r", replaced=True),
    errors.AnswerUnavailableError("t", "r", replaced=False),
    errors.AnswerUnreadableError("t", "r"),
    errors.ThreadBusyError("t", "r"),
    errors.ThreadBusyError("t", None),
    errors.StartUnknownError("t"),
    errors.StartUnknownError(None),
    errors.UnexpectedError(),
]
each = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


def all_below(kind: type[ContitError]) -> set[type[ContitError]]:
    """The classes of this module that derive from `kind`, and it."""
    ours = {child for child in kind.__subclasses__() if child.__module__ == errors.__name__}
    return {kind}.union(*(all_below(child) for child in ours))


def test_every_class_has_an_example_here() -> None:
    """A new error must be added to the table above."""
    only_for_catching = {ContitError, errors.APIError, errors.RunError}
    assert {type(error) for error in EXAMPLES} == all_below(ContitError) - only_for_catching


@each
def test_an_error_says_in_one_line_what_happened_and_in_one_what_to_do(error: ContitError) -> None:
    """Both end in a full stop, and the error's text is its message."""
    for text in (error.message, error.hint):
        assert text.endswith(".")
        assert "\n" not in text
        assert text == text.strip() != ""
    assert str(error) == error.message
    assert error.args == (error.message,)


def test_only_what_passes_by_itself_is_retryable() -> None:
    """Of the API's errors: connection, 429, 5xx, and a body that is not as documented."""
    retryable = {type(error) for error in EXAMPLES if isinstance(error, errors.APIError) and error.retryable}
    assert retryable == {
        errors.APIConnectionError,
        errors.APITimeoutError,
        errors.RateLimitError,
        errors.InternalServerError,
        errors.APIResponseValidationError,
    }
    assert not errors.APIError.retryable


def test_errors_about_a_run_carry_its_ids() -> None:
    """So that no handle is lost."""
    for error in EXAMPLES:
        if isinstance(error, errors.RunError):
            assert error.thread_id in {"t", None}
            assert error.run_id in {"r", None}
    busy = errors.ThreadBusyError("thread-1", "run-1")
    assert (busy.thread_id, busy.run_id) == ("thread-1", "run-1")


def test_a_busy_thread_is_named_as_ours_or_contits_finding() -> None:
    """Only our own store knows which run it is; an upstream refusal is named as what it is."""
    assert "Contit refused" in errors.ThreadBusyError("t", None).message
    assert "Contit refused" not in errors.ThreadBusyError("t", "r").message


def test_an_unreachable_run_says_why_and_what_to_do_first() -> None:
    """Message and hint of the cause are part of it."""
    error = errors.RunUnreachableError("t", "r", CAUSE)
    assert CAUSE.message in error.message
    assert error.hint.startswith(CAUSE.hint)
    assert "do not ask again" in error.hint


@pytest.mark.parametrize(("seconds", "minutes"), [(1_800, "30 minutes"), (60, "1 minute "), (90, "2 minutes")])
def test_a_run_without_an_end_says_how_long_it_went(seconds: float, minutes: str) -> None:
    """In minutes."""
    assert minutes in errors.RunTimeoutError("t", "r", after_seconds=seconds).message


def test_the_cause_of_a_replaced_answer_and_of_none_are_told_apart() -> None:
    """Another run's answer is never given in its place."""
    replaced, none = (errors.AnswerUnavailableError("t", "r", replaced=value) for value in (True, False))
    assert "replaced" in replaced.message
    assert "has no answer" in none.message

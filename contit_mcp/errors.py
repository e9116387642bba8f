"""The errors of this package, as one tree.

ContitError                        has a one-line message and a hint: what to do now
├── ConfigurationError             the operator's settings do not work together
├── InvalidArgumentError           the caller's arguments cannot be used; nothing was sent
├── ServerClosingError             this process is shutting down; nothing was started
├── StoreError                     the run store cannot be used; no ask fails because of it
├── UnexpectedError                a bug in this package
├── APIError                       one HTTP exchange with Contit did not work
│   ├── APIConnectionError         no usable response came (may_have_arrived: Contit may have the request)
│   │   └── APITimeoutError
│   ├── APIStatusError             a response with a status other than 2xx
│   │   ├── AuthenticationError 401, PermissionDeniedError 403, NotFoundError 404, RateLimitError 429
│   │   ├── RedirectError 3xx      never followed
│   │   └── InternalServerError 5xx
│   └── APIResponseValidationError a body that cannot be read, or a 2xx without the documented form
└── RunError                       about one run; carries the ids that are known
    ├── RunFailedError             it ended without an answer
    ├── RunTimeoutError            it did not end within the limit
    ├── RunNotFoundError           Contit does not know it (or it is not the caller's)
    ├── RunUnreachableError        it was started, and then Contit could not be asked about it
    ├── AnswerUnavailableError     it completed, but Contit has no answer for it, or a later run replaced the answer
    ├── AnswerUnreadableError      it completed, but the body with its answer cannot be read
    ├── ThreadBusyError            another run is still going on the thread
    └── StartUnknownError          the start was sent and no usable response came: it may or may not run

Messages never contain text from upstream, so none has a secret, prompt or answer. A test compares tree and classes.
"""


class ContitError(Exception):
    """Anything this package reports: `message` says in one line what happened, `hint` what to do now."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(ContitError):
    """A setting is missing, unknown, or does not work together with another."""


class InvalidArgumentError(ContitError):
    """An argument of a call cannot be used. Nothing was sent to Contit."""


class ServerClosingError(ContitError):
    """The server is shutting down and nothing was started for this call."""

    def __init__(self) -> None:
        message = "The server is shutting down and this question was not started."
        super().__init__(message, hint="Ask again in a few seconds.")


class StoreError(ContitError):
    """The run store cannot be used at the moment. Asks continue without it."""


class UnexpectedError(ContitError):
    """A bug in this package. The result does not quote the exception, whose text could contain anything."""

    def __init__(self) -> None:
        super().__init__(
            "This call failed because of a bug in contit-mcp.",
            hint="Try once more; if it fails again, report it with the server's log line call.crashed.",
        )


class APIError(ContitError):
    """One HTTP exchange with Contit did not work; `retryable` says whether the same read may work a little later."""

    retryable = False


class APIConnectionError(APIError):
    """No usable response came; `may_have_arrived` says whether Contit may have received and acted on the request."""

    retryable = True

    def __init__(self, message: str, *, hint: str, may_have_arrived: bool) -> None:
        super().__init__(message, hint=hint)
        self.may_have_arrived = may_have_arrived


class APITimeoutError(APIConnectionError):
    """Contit, or the connection to it, took too long."""


class APIResponseValidationError(APIError):
    """A body is too large or cannot be decoded, or that of a 2xx does not have the documented form."""

    retryable = True


class APIStatusError(APIError):
    """Contit answered with a status other than 2xx; `retry_after` is in seconds, if Contit asked to wait."""

    def __init__(self, message: str, *, hint: str, status_code: int, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status_code = status_code
        self.retry_after = retry_after


class AuthenticationError(APIStatusError):
    """401: the credential is missing, wrong, expired or revoked."""


class PermissionDeniedError(APIStatusError):
    """403: the credential is valid but may not do this."""


class NotFoundError(APIStatusError):
    """404: Contit does not know the thread or run."""


class RateLimitError(APIStatusError):
    """429: too many requests."""

    retryable = True


class RedirectError(APIStatusError):
    """3xx. Redirects are never followed: the credential would be sent to another address."""


class InternalServerError(APIStatusError):
    """5xx: a fault on Contit's side or between it and us."""

    retryable = True


class RunError(ContitError):
    """An error about one run, with the ids that are known. A subclass sets `message` and `hint` if they are fixed."""

    message = hint = ""

    def __init__(self, thread_id: str | None, run_id: str | None = None, *, message: str = "", hint: str = "") -> None:
        super().__init__(message or self.message, hint=hint or self.hint)
        self.thread_id = thread_id
        self.run_id = run_id


class RunFailedError(RunError):
    """The run ended without an answer."""

    message = "Contit reports that the run failed; it does not say why."
    hint = "Ask once more, more simply or about less at a time."


class RunTimeoutError(RunError):
    """The run did not end within the limit."""

    hint = RunFailedError.hint

    def __init__(self, thread_id: str, run_id: str, *, after_seconds: float) -> None:
        minutes = round(after_seconds / 60)
        message = f"No end seen: the run was still going after {minutes} minute{'s' * (minutes != 1)} and was given up."
        super().__init__(thread_id, run_id, message=message)


class RunNotFoundError(RunError):
    """Contit does not know the thread or run, or it is not the caller's. The text does not tell which."""

    message = "No such thread or run."
    hint = (
        "Use the ids exactly as contit_ask or contit_start returned them here; ids from elsewhere do not work."
        " Or ask without ids to start anew."
    )


class RunUnreachableError(RunError):
    """The run was started, and then Contit could not be asked about it. The cause is in `__cause__`."""

    def __init__(self, thread_id: str, run_id: str, cause: APIError) -> None:
        message = f"The run was started, but asking Contit about it did not work. {cause.message}"
        hint = f"{cause.hint} Then call contit_response with these ids; do not ask again."
        super().__init__(thread_id, run_id, message=message, hint=hint)


class AnswerUnavailableError(RunError):
    """The run's own answer cannot be read, and no other is returned instead. `replaced`: a later run replaced it."""

    message = "Contit calls the run completed but has no answer for it."
    hint = "Ask the question again."

    def __init__(self, thread_id: str, run_id: str, *, replaced: bool) -> None:
        message = "This run's own answer is no longer available: a later run on the thread replaced it."
        hint = "Call contit_response without run_id for the thread's latest answer, or ask the question again."
        super().__init__(thread_id, run_id, message=message if replaced else "", hint=hint if replaced else "")


class AnswerUnreadableError(RunError):
    """The run has completed, and the body with its answer cannot be read. The cause is in `__cause__`."""

    message = "Contit calls the run completed, but its answer is too large or not in the documented form."
    hint = "Call contit_response with these ids once more. If it says the same, ask again, for less at a time."


class ThreadBusyError(RunError):
    """The thread has another run in flight. `run_id` is that run, or None if the run store does not know it."""

    def __init__(self, thread_id: str, run_id: str | None) -> None:
        message = "The thread is busy with another run. Your question was not sent."
        hint = "Call contit_response with these ids to see that run end, then ask again."
        if run_id is None:
            message = "Contit refused the question; the thread is probably busy with another run."
            hint = "Wait a little and ask again, or ask without thread_id to start a new conversation."
        super().__init__(thread_id, run_id, message=message, hint=hint)


class StartUnknownError(RunError):
    """The start was sent and no usable response came. The cause is in `__cause__`."""

    message = "No usable response came after the question was sent to Contit: it is unknown whether a run was started."
    hint = "Asking again is safe for your content, but the question may then run twice."

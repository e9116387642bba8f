"""Contit's documented wire format: paths, answers as models, and statuses as errors (docs/contit-api.md).

Text from upstream never enters an error message or a log line: it could repeat the prompt or hold an answer.
"""

import json
import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated, TypeVar
from urllib.parse import quote

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from contit_mcp import errors
from contit_mcp.telemetry.logging import get_logger

ModelT = TypeVar("ModelT", bound=BaseModel)
log = get_logger(__name__)

# --- Paths -------------------------------------------------------------------------------------------------------

MAX_ID_LENGTH = 256
"""Characters. The documented examples have 24; this bounds what a caller can make us send."""

START_PATH = "/ai-assistant/thread"


def id_problem(value: str) -> str | None:
    """Say why `value` cannot be an id: empty, over 256 characters, `.`, `..`, or unprintable characters."""
    if not value.strip():
        return "is empty"
    if len(value) > MAX_ID_LENGTH:
        return f"is longer than {MAX_ID_LENGTH} characters"
    if value in {".", ".."} or not value.isprintable():
        return "is not an id"
    return None


def check_id(name: str, value: str) -> str:
    """Return `value` if it can be an id. Ids are opaque: nothing else is assumed about their form.

    Raises:
        InvalidArgumentError: It cannot; `name` says which argument.
    """
    if problem := id_problem(value):
        raise errors.InvalidArgumentError(
            f"{name} {problem}.", hint="Use the id exactly as contit_ask or contit_start gave it."
        )
    return value


def status_path(thread_id: str, run_id: str) -> str:
    """Return the path of a run's status; each id is one percent-encoded segment."""
    return f"{START_PATH}/{_segment('thread_id', thread_id)}/run/{_segment('run_id', run_id)}/status"


def response_path(thread_id: str) -> str:
    """Return the path of a thread's latest answer; the id is one percent-encoded segment."""
    return f"{START_PATH}/{_segment('thread_id', thread_id)}/response"


def _segment(name: str, value: str) -> str:
    return quote(check_id(name, value), safe="")


# --- Models ------------------------------------------------------------------------------------------------------


def _usable(value: str) -> str:
    if problem := id_problem(value):
        raise ValueError(problem)
    return value


_Id = Annotated[str, AfterValidator(_usable)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, hide_input_in_errors=True)


class StartedRun(_Wire):
    """The answer of `POST /ai-assistant/thread`."""

    thread_id: _Id
    run_id: _Id


class RunPhase(StrEnum):
    """The states of a run that make a difference here."""

    COMPLETED = "completed"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


# Assumed from the OpenAI Assistants vocabulary, which the documented ids and words resemble.
_ENDED_WITHOUT_AN_ANSWER = frozenset({"failed", "cancelled", "canceled", "expired", "incomplete"})


class RunStatus(_Wire):
    """The answer of `GET …/status`. `word` is Contit's own, `phase` what it means here."""

    word: str = Field(alias="status", min_length=1, max_length=200)

    @property
    def phase(self) -> RunPhase:
        """Return the end that the word names; any word that names no end means a run in progress."""
        word = self.word.strip().casefold()
        if word == "completed":
            return RunPhase.COMPLETED
        if word in _ENDED_WITHOUT_AN_ANSWER:
            return RunPhase.FAILED
        return RunPhase.IN_PROGRESS

    @property
    def documented(self) -> bool:
        """Return whether the vendor's page names the word."""
        return self.word in {"completed", "in_progress", "failed"}


class ThreadResponse(_Wire):
    """The answer of `GET …/response`."""

    text: str = Field(alias="response")


# --- Statuses and bodies -----------------------------------------------------------------------------------------

_CREDENTIAL_HINT = "Check the credential that is configured for Contit (contit-mcp check tells more)."
_LATER_HINT = "Try again in a little while."
_LONGEST_RETRY_AFTER = 86_400.0

_BY_STATUS: dict[int, tuple[type[errors.APIStatusError], str, str]] = {
    400: (errors.BadRequestError, "Contit refused the request as malformed (400).", "Ask in other words."),
    401: (
        errors.AuthenticationError,
        "Contit refused the credential (401): it is missing, wrong, expired or revoked.",
        _CREDENTIAL_HINT,
    ),
    403: (
        errors.PermissionDeniedError,
        "The Contit credential is valid but may not use the AI assistant (403).",
        "Give it the ReadAccess policy in Contit, or configure another credential.",
    ),
    404: (errors.NotFoundError, "Contit does not know this thread or run (404).", "Check the ids."),
    409: (errors.ConflictError, "Contit refused the request because of a conflict (409).", _LATER_HINT),
    422: (errors.UnprocessableEntityError, "Contit could not process the request (422).", "Ask in other words."),
}


def parse(response: httpx.Response, model: type[ModelT], *, now: datetime | None = None) -> ModelT:
    """Return the body of a 2xx response as `model`.

    Args:
        response: A response whose body was read.
        model: What the documentation promises for 200.
        now: For `Retry-After` dates; the present by default.

    Raises:
        APIStatusError: Any status other than 2xx.
        APIResponseValidationError: A 2xx that does not parse or lacks a field.
    """
    if not response.is_success:
        _log_shape(response)
        raise _status_error(response, now=now)
    try:
        return model.model_validate_json(response.content)
    except ValidationError as exc:
        _log_shape(response)
        # Not chained: a validation error can quote its input, which may be an answer.
        problems = sorted({f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['type']}" for e in exc.errors()})
    log.debug("upstream.invalid", problems=problems)
    raise errors.APIResponseValidationError(
        f"Contit's answer was not what its documentation promises (HTTP {response.status_code}).",
        hint="Try again; if it stays so, check CONTIT_BASE_URL and whether a proxy answers in Contit's place.",
    )


def later_hint(seconds: float | None) -> str:
    """Return the hint to try again, with whole seconds if they are known."""
    if seconds is None:
        return _LATER_HINT
    whole = max(1, math.ceil(seconds))
    return f"Try again in {whole} second{'' if whole == 1 else 's'}."


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds of a `Retry-After` header: a number or an HTTP date (RFC 9110, 10.2.3), at most a day."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]+", value):
        seconds = float(value)
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # the latter for a zone or year of many digits
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _status_error(response: httpx.Response, *, now: datetime | None) -> errors.APIStatusError:
    status = response.status_code
    if known := _BY_STATUS.get(status):
        kind, message, hint = known
        return kind(message, hint=hint, status_code=status)
    retry_after = parse_retry_after(response.headers.get("Retry-After"), now=now)
    later = later_hint(retry_after)
    if status == 429:
        message = "Contit refused the request because of too many requests (429)."
        return errors.RateLimitError(message, hint=later, status_code=status, retry_after=retry_after)
    if status >= 500:
        message = f"Contit, or something between it and us, has a fault (HTTP {status})."
        return errors.InternalServerError(message, hint=later, status_code=status, retry_after=retry_after)
    if 300 <= status < 400:
        return errors.RedirectError(
            f"Contit's address answered with a redirect (HTTP {status}), which is never followed.",
            hint="Set CONTIT_BASE_URL to the address where Contit really is.",
            status_code=status,
        )
    message = f"Contit answered with an unexpected status (HTTP {status})."
    return errors.APIStatusError(message, hint=_LATER_HINT, status_code=status)


def _log_shape(response: httpx.Response) -> None:
    """Log the type, size and keys of a refused body, never its text."""
    keys: list[str] = []
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):  # the second for very deep nesting
        kind = "not JSON"
    else:
        kind = type(body).__name__
        if isinstance(body, dict):
            keys = [key for key in body if re.fullmatch(r"[A-Za-z_]{1,30}", key)][:12]
    media_type = re.match(r"[\w.+/-]{0,60}", response.headers.get("Content-Type", ""))
    log.debug(
        "upstream.refused_body",
        status=response.status_code,
        media_type=media_type and media_type[0],
        size=len(response.content),
        kind=kind,
        keys=keys,
    )

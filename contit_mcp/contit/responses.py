"""From an HTTP answer to a model or an error. Upstream text never enters a message or a log line."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from contit_mcp import errors
from contit_mcp.telemetry.logging import get_logger

ModelT = TypeVar("ModelT", bound=BaseModel)
log = get_logger(__name__)

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
    422: (
        errors.UnprocessableEntityError,
        "Contit could not process the request (422).",
        "Ask in other words.",
    ),
}


class Answer(Protocol):
    """What is to be known of an HTTP answer; httpx's responses are such."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in whatever case."""
        ...

    @property
    def content(self) -> bytes:
        """The body, unpacked."""
        ...


def parse(response: Answer, model: type[ModelT], *, now: datetime | None = None) -> ModelT:
    """Return the answer as `model`.

    Args:
        response: The answer.
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


def _status_error(response: Answer, *, now: datetime | None) -> errors.APIStatusError:
    status = response.status_code
    if known := _BY_STATUS.get(status):
        kind, message, hint = known
        return kind(message, hint=hint, status_code=status)
    retry_after = parse_retry_after(response.headers.get("Retry-After"), now=now)
    later = _later_hint(retry_after)
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


def _later_hint(retry_after: float | None) -> str:
    if retry_after is None:
        return _LATER_HINT
    seconds = max(1, math.ceil(retry_after))
    return f"Try again in {seconds} second{'' if seconds == 1 else 's'}."


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number or an HTTP date (RFC 9110, 10.2.3), at most a day."""
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


def _log_shape(response: Answer) -> None:
    """Log what a refused body looks like, never what it says: it could echo the prompt or hold an answer."""
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

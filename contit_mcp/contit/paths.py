"""Ids from outside become path segments that cannot mean another path.

Ids are opaque (contit-api.md, "Not documented", 9): nothing is assumed of their form but that they are ids.
"""

from urllib.parse import quote

from contit_mcp.errors import InvalidArgumentError

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
    """Return `value` when it can be an id.

    Raises:
        InvalidArgumentError: It cannot; `name` says which argument.
    """
    if problem := id_problem(value):
        raise InvalidArgumentError(
            f"{name} {problem}.", hint="Use the id exactly as contit_ask or contit_start gave it."
        )
    return value


def status_path(thread_id: str, run_id: str) -> str:
    """The path that tells how a run stands."""
    return f"{START_PATH}/{_segment('thread_id', thread_id)}/run/{_segment('run_id', run_id)}/status"


def response_path(thread_id: str) -> str:
    """The path of a thread's latest answer."""
    return f"{START_PATH}/{_segment('thread_id', thread_id)}/response"


def _segment(name: str, value: str) -> str:
    return quote(check_id(name, value), safe="")

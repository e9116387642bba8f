"""From what a host sent as arguments to what a tool takes. Forgiving where hosts are sloppy, clear where not."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from contit_mcp.errors import InvalidArgumentError

INJECTED_BY_HOSTS = frozenset({"toolCallId", "sessionId", "action", "chatInput"})
"""Keys that n8n adds to every call of a tool; nobody meant them."""

_LONGEST_NAME = 40

_REASONS = {
    "missing": "is required",
    "string_type": "must be a string",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
}


def accept(arguments: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the arguments as the tool's function takes them.

    Args:
        arguments: As they came.
        model: The tool's parameters.

    Raises:
        InvalidArgumentError: One is unknown, missing, or of the wrong type. The text holds names, no values.
    """
    fields = model.model_fields
    given = {key: value for key, value in arguments.items() if key in fields or key not in INJECTED_BY_HOSTS}
    if unknown := sorted(key for key in given if key not in fields):
        named = ", ".join(key for key in unknown if key.isidentifier() and len(key) <= _LONGEST_NAME) or "one"
        raise InvalidArgumentError(
            f"Unknown argument: {named}.", hint=f"Call again with these only: {', '.join(fields)}."
        )
    given = {key: value for key, value in given.items() if fields[key].is_required() or not _is_absent(value)}
    try:
        accepted = model.model_validate(given)
    except ValidationError as exc:
        # Not chained: pydantic's text quotes the value.
        problems = [
            f"{error['loc'][0]} {_REASONS.get(error['type'], 'cannot be used')}"
            for error in exc.errors()
            if error["type"] != "none_required"  # the other half of an optional parameter
        ]
    else:
        return {name: getattr(accepted, name) for name in fields}
    raise InvalidArgumentError(f"{'; '.join(problems)}.", hint=f"The arguments are: {', '.join(fields)}.")


def _is_absent(value: object) -> bool:
    """Models write "nothing" in several ways."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip() in {"", "null"})

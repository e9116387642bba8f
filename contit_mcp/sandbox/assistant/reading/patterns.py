"""Regular expressions for phrases: whole words only, and the same group may stand in several alternatives."""

from __future__ import annotations

import re
from typing import Final

_GROUP: Final = re.compile(r"\(\?P<(\w+)>")
_AGAIN: Final = "__"


def phrase(*alternatives: str) -> re.Pattern[str]:
    """Compile alternatives that must begin and end where words do."""
    seen: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        name = match.group(1)
        seen[name] = seen.get(name, 0) + 1
        return f"(?P<{name}{_AGAIN}{seen[name]}>"

    return re.compile(_GROUP.sub(numbered, rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)"))


def group(match: re.Match[str], name: str) -> str | None:
    """Return what a group matched, in whichever alternative it was."""
    groups = match.groupdict().items()
    return next((text for key, text in groups if text is not None and key.split(_AGAIN)[0] == name), None)

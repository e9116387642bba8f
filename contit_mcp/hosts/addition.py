"""One thing that is ours in a host's file, and what the file says with it and without it."""

from dataclasses import dataclass
from typing import Any


class UnreadableTextError(Exception):
    """The text of a file is not what its format allows.

    Attributes:
        line: Where, counted from 1.
        problem: What is wrong there.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


class UnsuitableTextError(Exception):
    """The text is readable, but there is no place in it for what is to be added, or no safe way to take it out."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A member of a mapping, or an element of a list, in a section at the top of the file.

    Attributes:
        section: The key of the mapping or list.
        name: The member's key, or what the element calls itself.
        value: What it says.
        named_by: The field in which an element of a list has its name; None: the section is a mapping.
    """

    section: str
    name: str
    value: Any
    named_by: str | None = None

    def find(self, document: Any) -> Any:
        """What stands there now under this name; None where nothing does."""
        section = document.get(self.section) if isinstance(document, dict) else None
        if self.named_by is None:
            return section.get(self.name) if isinstance(section, dict) else None
        return next((item for item in section if self._is_named(item)), None) if isinstance(section, list) else None

    def without(self, document: Any) -> Any:
        """The document without it. An empty section counts as none: whether one stays behind is a matter of taste."""
        if not isinstance(document, dict):
            return {} if document is None else document
        rest = dict(document)
        section = rest.get(self.section)
        if isinstance(section, dict) and self.named_by is None:
            section = {name: value for name, value in section.items() if name != self.name}
        elif isinstance(section, list) and self.named_by is not None:
            section = [item for item in section if not self._is_named(item)]
        if section in ({}, [], None):
            rest.pop(self.section, None)
        else:
            rest[self.section] = section
        return rest

    def _is_named(self, item: Any) -> bool:
        return isinstance(item, dict) and item.get(self.named_by) == self.name

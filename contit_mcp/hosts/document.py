"""One thing that is ours in a host's file: how it gets in and out of the text, checked by reading.

Each edit is verified: the text must afterwards say what it said before, but for the addition. An edit that does not is
not written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

_MOST_LINES = 40
"""Of an entry; ours have up to 15."""


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
    """The text is readable, but there is no place in it for an addition, or no safe way to take one out."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A member of a mapping, or an element of a list, in a section at the top of the file.

    Attributes:
        section: The key of the mapping or list.
        name: The member's key, or the name that the element gives itself.
        value: The member or element.
        named_by: The field in which an element of a list has its name; None if the section is a mapping.
    """

    section: str
    name: str
    value: Any
    named_by: str | None = None

    def find(self, document: Any) -> Any:
        """Return the value that the document has under this name; None if there is no such value."""
        section = document.get(self.section) if isinstance(document, dict) else None
        if self.named_by is None:
            return section.get(self.name) if isinstance(section, dict) else None
        return next((item for item in section if self.is_named(item)), None) if isinstance(section, list) else None

    def without(self, document: Any) -> Any:
        """Return the document without it. An empty section counts as a missing one."""
        if not isinstance(document, dict):
            return {} if document is None else document
        rest = dict(document)
        section = rest.get(self.section)
        if isinstance(section, dict) and self.named_by is None:
            section = {name: value for name, value in section.items() if name != self.name}
        elif isinstance(section, list) and self.named_by is not None:
            section = [item for item in section if not self.is_named(item)]
        if section in ({}, [], None):
            rest.pop(self.section, None)
        else:
            rest[self.section] = section
        return rest

    def is_named(self, item: Any) -> bool:
        """Whether an element of the list has this name."""
        return isinstance(item, dict) and item.get(self.named_by) == self.name


class Format(Protocol):
    """The operations of a file format.

    Attributes:
        exact: Whether an edit changes nothing but its own lines; else it may change white space and comments.
    """

    exact: bool

    def read(self, text: str) -> object:
        """Return what the text says; None for an empty one. Raises UnreadableTextError."""

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with the addition. Raises UnreadableTextError or UnsuitableTextError."""

    def remove(self, text: str, addition: Addition) -> str:
        """Return the text without the addition, which is in it. Raises as `insert`."""


def with_additions(text: str, additions: Sequence[Addition], file_format: Format) -> str:
    """Return the text with all of the additions, of which it has none yet.

    Raises:
        UnreadableTextError: The text is not of its format.
        UnsuitableTextError: There is no place for them.
    """
    for addition in additions:
        before = file_format.read(text)
        text = file_format.insert(text, addition)
        if not _says(text, addition, before, file_format, present=True):
            raise UnsuitableTextError("there is no place in it where an entry could be added safely")
    return text


def without_additions(text: str, additions: Sequence[Addition], file_format: Format) -> tuple[str, bool]:
    """Return the text without the additions, as far as they are in it, and whether all else is byte for byte the same.

    Raises:
        UnreadableTextError: The text is not of its format.
        UnsuitableTextError: They cannot be taken out safely.
    """
    exact = True
    for addition in reversed(additions):
        before = file_format.read(text)
        if addition.find(before) is None:
            continue
        cut = None if file_format.exact else _without_lines(text, addition, before, file_format)
        if cut is None:
            exact = exact and file_format.exact
            cut = file_format.remove(text, addition)
            if not _says(cut, addition, before, file_format, present=False):
                raise UnsuitableTextError("our entry cannot be taken out of it safely")
        text = cut
    return text, exact


def _without_lines(text: str, addition: Addition, before: object, file_format: Format) -> str | None:
    """Return the text without the fewest whole lines that hold the addition; None if it has no lines of its own."""
    lines = text.split("\n")

    def rest(start: int, end: int) -> str | None:
        cut = "\n".join(lines[:start] + lines[end:])
        return cut if _says(cut, addition, before, file_format, present=False) else None

    for start in (number for number, line in enumerate(lines) if addition.name in line):
        for end in range(start + 1, min(start + _MOST_LINES, len(lines)) + 1):
            if (cut := rest(start, end)) is not None:
                # The line above goes too if it is a second blank one, or the head of a section that is empty now.
                above = lines[start - 1].strip() if start else "-"
                spare = above == f"{addition.section}:" or (not above and "".join(lines[end : end + 1]).strip() == "")
                shorter = rest(start - 1, end) if spare else None
                return cut if shorter is None else shorter
    return None


def _says(text: str, addition: Addition, before: object, file_format: Format, *, present: bool) -> bool:
    """Whether the text says what it said before, but for the addition."""
    try:
        after = file_format.read(text)
    except Exception:  # noqa: BLE001 - whatever error a reader raises, such a text is not written
        return False
    said = (addition.find(after), addition.without(after))
    return _spelled(said) == _spelled((addition.value if present else None, addition.without(before)))


def _spelled(value: Any) -> str:
    """Return a text that is the same for the same content: in Python 1 is True, and NaN is not NaN."""
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{name!r}:{_spelled(item)}' for name, item in value.items()))}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_spelled, value))}]"
    return repr(value)

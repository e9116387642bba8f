"""One thing that is ours in a host's file, and the edits that put it in and take it out, each checked by reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class UnreadableTextError(Exception):
    """The text of a file is not what its format allows; lines count from 1."""

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
        section = rest.pop(self.section, None)
        if isinstance(section, dict) and self.named_by is None:
            section = {name: value for name, value in section.items() if name != self.name}
        elif isinstance(section, list) and self.named_by is not None:
            section = [item for item in section if not self.is_named(item)]
        return rest if section in ({}, [], None) else rest | {self.section: section}

    def is_named(self, item: Any) -> bool:
        """Return whether an element of the list has this name."""
        return isinstance(item, dict) and item.get(self.named_by) == self.name


class Format(Protocol):
    """A file format. Its methods raise UnreadableTextError, and the last two UnsuitableTextError."""

    def read(self, text: str) -> object:
        """Return what the text says; None for an empty one."""

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with the addition."""

    def remove(self, text: str, addition: Addition) -> str:
        """Return the text without the addition, which is in it."""


def with_additions(text: str, additions: Sequence[Addition], file_format: Format) -> str:
    """Return the text with the additions, of which it has none yet.

    Raises:
        UnreadableTextError: The text is not of its format.
        UnsuitableTextError: There is no place for them.
    """
    for addition in additions:
        before = file_format.read(text)
        edited = file_format.insert(text, addition)
        if not _says(file_format, edited, addition, before, value=addition.value):
            raise UnsuitableTextError("there is no place in it where an entry could be added safely")
        text = edited
    return text


def without_additions(text: str, additions: Sequence[Addition], file_format: Format) -> str:
    """Return the text without those of the additions that are in it.

    Raises:
        UnreadableTextError: The text is not of its format.
        UnsuitableTextError: They cannot be taken out safely.
    """
    for addition in reversed(additions):
        before = file_format.read(text)
        if addition.find(before) is None:
            continue
        edited = file_format.remove(text, addition)
        if not _says(file_format, edited, addition, before, value=None):
            raise UnsuitableTextError("our entry cannot be taken out of it safely")
        text = edited
    return text


def _says(file_format: Format, text: str, addition: Addition, before: object, *, value: Any) -> bool:
    """Return whether the text says what was there before, but for the addition, which has this value."""
    try:
        after = file_format.read(text)
    except Exception:  # noqa: BLE001 - whatever error a reader raises, such a text is not written
        return False
    return _spelled((addition.find(after), addition.without(after))) == _spelled((value, addition.without(before)))


def _spelled(value: Any) -> str:
    """Return a text that is the same for the same content: in Python 1 is True, and NaN is not NaN."""
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{name!r}:{_spelled(item)}' for name, item in value.items()))}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_spelled, value))}]"
    return repr(value)

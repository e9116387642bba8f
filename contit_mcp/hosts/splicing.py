"""Additions into a text and out of it again, checked by reading: nothing but they may have changed.

What was inserted is remembered, and cut out again as it stands, so that the text is afterwards what it was, byte for
byte. Where that is not possible (no memory, or changed by hand), the format's own way of removal is taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from contit_mcp.hosts import json_text, toml_text, yaml_text
from contit_mcp.hosts.addition import Addition, UnsuitableTextError


class Format(Protocol):
    """What is known of a file format."""

    @property
    def read(self) -> Callable[[str], object]:
        """What a text says; None for nothing."""

    @property
    def insert(self) -> Callable[[str, Addition], tuple[int, str]]:
        """Where to insert which text."""

    @property
    def remove(self) -> Callable[[str, Addition], str]:
        """The text without an addition."""


FORMATS: dict[str, Format] = {"json": json_text, "toml": toml_text, "yaml": yaml_text}


@dataclass(frozen=True, slots=True)
class Spliced:
    """A text with additions, and what was inserted for each of them."""

    text: str
    inserted: tuple[str, ...]


def with_additions(text: str, additions: Sequence[Addition], file_format: Format) -> Spliced:
    """The text with all of the additions, none of which it has.

    Raises:
        UnreadableTextError: The text is not of its format.
        UnsuitableTextError: There is no place for them.
    """
    inserted = []
    for addition in additions:
        before = file_format.read(text)
        at, piece = file_format.insert(text, addition)
        text = text[:at] + piece + text[at:]
        if not _says(text, addition, before, file_format, present=True):
            raise UnsuitableTextError("there is no place in it where an entry could be added safely")
        inserted.append(piece)
    return Spliced(text, tuple(inserted))


def without_additions(
    text: str, additions: Sequence[Addition], file_format: Format, *, inserted: Sequence[str] = ()
) -> str:
    """The text without the additions. `inserted`: what was inserted for them, where that is known.

    Raises:
        UnreadableTextError: The text is not of its format.
        UnsuitableTextError: They cannot be taken out safely.
    """
    pieces = [*inserted, *[None] * len(additions)]
    for addition, piece in reversed(list(zip(additions, pieces, strict=False))):
        before = file_format.read(text)
        if addition.find(before) is None:
            continue
        text = _without(text, addition, before, file_format, piece)
    return text


def _without(text: str, addition: Addition, before: object, file_format: Format, piece: str | None) -> str:
    if piece and text.count(piece) == 1:
        cut = text.replace(piece, "")
        if _says(cut, addition, before, file_format, present=False):
            return cut
    removed = file_format.remove(text, addition)
    if _says(removed, addition, before, file_format, present=False):
        return removed
    raise UnsuitableTextError("our entry cannot be taken out of it safely")


def _says(text: str, addition: Addition, before: object, file_format: Format, *, present: bool) -> bool:
    """Whether the text says what it said before, but for the addition."""
    try:
        after = file_format.read(text)
    except Exception:  # noqa: BLE001 - whatever a reader stumbles over, such a text is not written
        return False
    expected = addition.value if present else None
    # As text: in Python 1 is True, NaN is not NaN, and the order of names does not count.
    return repr(addition.find(after)) == repr(expected) and repr(addition.without(after)) == repr(
        addition.without(before)
    )

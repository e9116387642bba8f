"""Words of a text: folded, stemmed by the endings of a language, and compared with room for a typing error."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

MAX_CHARACTERS: Final = 32_000
"""Characters of a prompt that are read; the server in front refuses longer prompts."""

_WORD: Final = re.compile(r"\d+(?:[.,/:-]\d+)*(?:st|nd|rd|th|°|º)?(?![^\W\d_])|[^\W\d_]+\d*|\d+[^\W_]*|[€$£%+]")
_SHORTEST_STEM: Final = 3
_SHORTEST_TYPO: Final = 5
_LONG_WORD: Final = 7


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a prompt: as written, folded, and its stem."""

    raw: str
    folded: str
    stem: str


def fold(word: str) -> str:
    """Return the word in lower case without accents. The Italian verb "è" keeps its accent: "e" means "and"."""
    lower = word.casefold()
    if lower == "è":
        return lower
    return "".join(mark for mark in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(mark))


def stem(word: str, endings: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """Return the stem of a folded word. Each pass replaces the first ending that fits."""
    for one_pass in endings:
        for ending, replacement in one_pass:
            if word.endswith(ending) and len(word) - len(ending) + len(replacement) >= _SHORTEST_STEM:
                word = word.removesuffix(ending) + replacement
                break
    return word


def words(text: str, endings: tuple[tuple[tuple[str, str], ...], ...]) -> list[Word]:
    """Split a text into its words."""
    found = (match.group() for match in _WORD.finditer(text[:MAX_CHARACTERS]))
    return [Word(raw, folded := fold(raw), stem(folded, endings)) for raw in found]


def is_typo_of(written: str, meant: str) -> bool:
    """Return whether one letter was lost, added, doubled or swapped; in long words also one letter replaced.

    A replaced letter in a short word is more often another word: "books" is no typing error of "boots".
    """
    if written[:1] != meant[:1] or min(len(written), len(meant)) < _SHORTEST_TYPO - 1:
        return False
    if abs(len(written) - len(meant)) == 1:
        longer, shorter = sorted((written, meant), key=len, reverse=True)
        return len(longer) >= _SHORTEST_TYPO and any(
            longer[:i] + longer[i + 1 :] == shorter for i in range(1, len(longer))
        )
    if len(written) != len(meant):
        return False
    differing = [i for i, (one, other) in enumerate(zip(written, meant, strict=True)) if one != other]
    if len(differing) == 1:
        return len(written) >= _LONG_WORD
    return (
        len(differing) == 2  # noqa: PLR2004 - two letters swapped
        and differing[1] == differing[0] + 1
        and written[differing[0]] == meant[differing[1]]
        and written[differing[1]] == meant[differing[0]]
    )

"""A question while it is being read: what has been understood is crossed out, what is left was not."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

CROSSED: Final = "·"
"""Stands in the place of every character that has been understood; it is no part of any word."""

_STRAIGHT: Final = str.maketrans("’‘`´“”„«»–—", '\'\'\'\'"""""--')
_MARKS: Final = {ord("@"): "&", ord(CROSSED): "."}
"""What stands for dates and for what is crossed out, where a question brings it along."""

_WORD: Final = re.compile(r"[\w€$#%+*=&<>]+")
_ALONE_E: Final = re.compile(r"(?<![^\W_])è(?![^\W_])")


def normal(text: str) -> str:
    """Return the text lowered, without accents and fancy quotes, with every character in its old place.

    The word "è" (is) keeps its accent, since "e" (and) is another word.
    """
    text = "".join(char.lower()[0] for char in text.translate(_STRAIGHT))
    kept = {match.start() for match in _ALONE_E.finditer(text)}
    plain = "".join(char if at in kept else unicodedata.normalize("NFKD", char)[0] for at, char in enumerate(text))
    return plain.translate(_MARKS)


class Sheet:
    """One question, and how much of it has been understood."""

    def __init__(self, question: str) -> None:
        """Start with nothing understood."""
        self.original = unicodedata.normalize("NFC", " ".join(question.split()))
        self.text = normal(self.original)
        self.whole = self.text

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Cross out the first match and return it."""
        match = pattern.search(self.text)
        if match:
            self.cross_out(*match.span())
        return match

    def take_all(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """Cross out every match and return them."""
        matches = [match for match in pattern.finditer(self.text) if match.group()]
        for match in matches:
            self.cross_out(*match.span())
        return matches

    def cross_out(self, start: int, end: int) -> None:
        """Mark a part as understood."""
        self.text = self.text[:start] + CROSSED * (end - start) + self.text[end:]

    def left(self) -> list[str]:
        """Return the words that nobody has understood yet."""
        return _WORD.findall(self.text)

    def runs(self) -> list[tuple[int, int]]:
        """Return where those words stand, neighbours joined."""
        runs: list[tuple[int, int]] = []
        for match in _WORD.finditer(self.text):
            if runs and self.text[runs[-1][1] : match.start()].strip(" ,'") == "":
                runs[-1] = (runs[-1][0], match.end())
            else:
                runs.append(match.span())
        return runs

    def left_as_written(self) -> list[str]:
        """Return the same words as they stood in the question, neighbours joined."""
        return [self.original[start:end] for start, end in self.runs()]

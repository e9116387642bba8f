"""Cuts words down so that one form finds another: boots and boot, tende and tenda, Zelte and Zelt.

Deliberately light: endings are cut, meanings are not guessed. The same cut is made when a text is stored and when it is
searched, and it differs by language.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.query import Locale

_WORD: Final = re.compile(r"[a-z0-9]+")
_SHORTEST: Final = 3
_ENDINGS: Final[dict[Locale, re.Pattern[str]]] = {
    "en": re.compile(r"(?<=[a-z]{2}[^s])s?$"),
    "it": re.compile(r"(?<=[a-z]{3})(?:h?[ei]|i?[aeo]|i)$"),
    "de": re.compile(r"(?<=[a-z]{3})(?:en|er|es|em|e|n|s)$"),
}
_VERB: Final = re.compile(r"(?<=[a-z]{4})(?:ing|ed)$")


def plain(text: str) -> str:
    """Lower the text and take its accents away."""
    return "".join(
        c for c in unicodedata.normalize("NFKD", text.lower().replace("ß", "ss")) if not unicodedata.combining(c)
    )


def words_of(text: str) -> list[str]:
    """Return the words and numbers of a text, plain."""
    return _WORD.findall(plain(text))


def stem(word: str, locale: Locale) -> str:
    """Cut one plain word."""
    if locale == "en" and word.endswith("ies") and len(word) > len("ties"):
        return word[:-3] + "y"
    if len(word) <= _SHORTEST or word.isdigit():
        return word
    word = _ENDINGS[locale].sub("", word)
    if locale == "en":
        word = _VERB.sub("", word)
        return word.removesuffix("e") if len(word) > _SHORTEST + 1 else word
    return word


def stems_of(text: str, locale: Locale) -> str:
    """Return every word of a text cut down, separated by blanks, ready to be stored or searched."""
    return " ".join(stem(word, locale) for word in words_of(text))

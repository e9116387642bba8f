"""Finds out in which language a question is asked, by reading it in all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.reading.question import Question
from contit_mcp.sandbox.assistant.reading.sheet import normal

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.reading.reader import Reader
    from contit_mcp.sandbox.assistant.reading.vocabulary import Language

LONGEST: Final = 600
"""No question about a workspace has more characters; longer texts are not even read."""

_MARKERS: Final = {
    "en": frozenset(
        "the of and what which how many are is was were show list me by in from about with all articles article "
        "pages page products product drafts draft who when do does did have has there any only one".split()
    ),
    "it": frozenset(
        "il lo la i gli le di del della dei delle e che quali quale quanti quante sono è era mostra mostrami elenca "
        "mi da dal con tutti tutte articoli articolo pagine pagina prodotti prodotto bozze bozza chi quando ha hanno "
        "ci solo uno una un per su nel nella in qual quello quelli quelle".split()
    ),
}
_MOST_PER_PART: Final = 3
_WORD: Final = re.compile(r"[^\W]+")


def reading_in_the_better_language(prompt: str, readers: list[Reader], before: Language) -> Question:
    """Read a question in every language and return the reading that makes the most of it.

    The one with fewer words left over counts; then the one with more small words of the language; then the language
    of the conversation so far.
    """
    if len(prompt) > LONGEST:
        return Question(before)
    words = _WORD.findall(normal(prompt))

    def merit(question: Question) -> tuple[int, int, bool]:
        unknown = sum(min(len(part.split()), _MOST_PER_PART) for part in question.unknown)
        if question.is_empty():
            unknown = len(words)
        known = sum(word in _MARKERS[question.language] for word in words)
        return (known - 2 * unknown, known, question.language == before)

    return max((reader.read(prompt) for reader in readers), key=merit)

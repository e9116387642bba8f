"""Takes words that nothing recognised for words of a title or a text, where they stand in a place for such words.

A guess counts only if the content bears it out. One that finds nothing is no finding: the words stay on the sheet, and
the question is not understood. Only words that are clearly searched for ("search for …") may be found nowhere.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.query import Choice, Query
from contit_mcp.sandbox.assistant.reading import topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

    Find = Callable[[Query], list[str]]

_FEW: Final = 3
"""More words than these are no name for a topic."""
_WORD: Final = re.compile(r"\w+")


def check_topic(sheet: Sheet, words: Vocabulary, found: Found, find: Find) -> None:
    """Refuse a topic whose last words may be no part of it: with them nothing at all is found, without them something.

    "About sailing worth reading" does not ask for texts with the word "worth". Names stay, so "about Lake Como" finds
    nothing, and says so.
    """
    topic: Choice | None = found.fields.get("words")
    if topic is None or not topic.every or find(Query(words=topic)):
        return
    for kept in range(len(topic.values) - 1, 0, -1):
        begin, rest = topic.values[:kept], topic.values[kept:]
        known = words.items.tags.names.find(" ".join(begin).lower()) or find(Query(words=Choice(begin, every=True)))
        if known and not any(word[0].isupper() for word in rest):
            start = sheet.original.find(rest[0])
            found.problems.append(sheet.original[start : sheet.original.find(rest[-1], start) + len(rest[-1])])
            return


def read_rest(sheet: Sheet, words: Vocabulary, found: Found, find: Find) -> None:
    """Take the words that are left over for words of a title or a text, where that is safe; else leave them."""
    sought = sheet.take(words.filters.search)
    seek = sought or sheet.take(words.filters.seek)
    suspicious = words.filters.unsearchable.search(sheet.text)
    topics.cross_out_fillers(sheet, words)
    left = topics.words_between(sheet, words, 0, len(sheet.text))
    if not left or suspicious or found.problems or found.extreme or found.speaks_of_items() or "tags" in found.asked:
        return
    if any(word.lower() in words.asks.numbers for word in left):
        return  # "articles with two authors" names no title with the word "two"
    place = _Place(sheet, words)
    topical = not words.filters.qualities.search(sheet.text) and (place.beside_a_noun() or place.follows(seek))
    titled = find(replace(found.query(), title_words=left, order=None, limit=None))
    pointed = bool(found.asked or found.details)
    telling = found.has_noun or len(left) > 1 or left[0][0].isupper() or "price" in found.asked
    if len(titled) == 1 and pointed and telling and not words.items.several.search(sheet.whole):
        found.named = tuple(titled)
    elif sought and "words" not in found.fields and place.follows(sought):
        found.put("words", Choice(left, every=True))
    elif titled and telling and (pointed or topical):
        found.put("title_words", left)
    elif len(left) <= _FEW and not found.asked and topical:
        guess = replace(found.query(), words=Choice(left, every=True), order=None, limit=None)
        if "words" in found.fields or not find(guess):
            return
        found.put("words", guess.words)
    else:
        return
    sheet.cross_out(0, len(sheet.text))


class _Place:
    """Where in the question the words stand that are left over."""

    def __init__(self, sheet: Sheet, words: Vocabulary) -> None:
        self._sheet, self._words = sheet, words
        runs = sheet.runs()
        self._start, self._end = runs[0][0], runs[-1][1]
        self._together = all(self._says_nothing(one[1], other[0]) for one, other in pairwise(runs))

    def follows(self, seek: re.Match[str] | None) -> bool:
        """Whether they come after a verb that seeks, with no more than a noun between."""
        if seek is None or not self._together or self._start < seek.end():
            return False
        at = seek.end()
        for start, end in sorted(noun.span() for noun in self._nouns()):
            if at <= start and end <= self._start and self._says_nothing(at, start):
                at = end
        return self._says_nothing(at, self._start)

    def beside_a_noun(self) -> bool:
        """Whether they stand where the language puts a topic: "chestnut articles", "articoli castagne"."""
        if not self._together:
            return False
        if self._words.filters.topic_first:
            return any(self._near(self._end, noun.start()) for noun in self._nouns())
        return any(self._near(noun.end(), self._start) for noun in self._nouns())

    def _nouns(self) -> list[re.Match[str]]:
        return [match for pattern in self._words.items.nouns for match in pattern.finditer(self._sheet.whole)]

    def _near(self, start: int, end: int) -> bool:
        """Whether at most one word stands between, and that one says something: "avalanche safety articles"."""
        between = _WORD.findall(self._sheet.whole[start:end])
        return start <= end and len(between) <= 1 and not self._words.talk.fillers.intersection(between)

    def _says_nothing(self, start: int, end: int) -> bool:
        return self._words.talk.fillers.issuperset(_WORD.findall(self._sheet.whole[start:end]))

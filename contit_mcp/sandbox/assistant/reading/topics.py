"""Reads which words an item's text or title must hold. They are kept as written; searching makes them equal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.query import Choice
from contit_mcp.sandbox.assistant.reading.patterns import group

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

_WORD: Final = re.compile(r"[^\W·]+(?:-[^\W·]+)*")
_QUOTED: Final = re.compile(r"\"([^\"·]+)\"|(?<!\w)'([^'·]+)'(?!\w)")
_BLANKS: Final = " ?!."
_QUOTES: Final = " \"'"


def words_between(sheet: Sheet, words: Vocabulary, start: int, end: int) -> tuple[str, ...]:
    """Return the words of a part of the question that carry meaning, as they were written."""
    return tuple(
        sheet.original[match.start() : match.end()]
        for match in _WORD.finditer(sheet.text, start, end)
        if match.group() not in words.talk.fillers and not words.items.either.fullmatch(match.group())
    )


def cross_out_fillers(sheet: Sheet, words: Vocabulary) -> None:
    """Cross out the words that carry no meaning of their own, or none where they stand."""
    for match in words.talk.harmless.finditer(sheet.whole):
        sheet.cross_out(*match.span())
    for match in _WORD.finditer(sheet.text):
        if match.group() in words.talk.fillers:
            sheet.cross_out(*match.span())


def read_topic(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read what an item is about: its tags if the topic is made of their names, else the words of its text."""
    match = words.filters.about.search(sheet.text)
    if not match:
        return
    topic = group(match, "topic") or ""
    if any(noun.fullmatch(topic.strip(_BLANKS)) for noun in words.items.nouns):
        return  # "on articles" says which items are meant
    start = match.end() - len(topic)
    if words.talk.pick.fullmatch(topic.strip(_BLANKS)):
        return  # "tell me about the second one" names no topic
    cut = words.filters.topic_end.search(topic)
    end = start + (cut.start() if cut else len(topic))
    left = words_between(sheet, words, start, end)
    if left:
        _take_topic(sheet, words, found, left, start, end)
        sheet.cross_out(match.start(), end)


def _take_topic(sheet: Sheet, words: Vocabulary, found: Found, left: tuple[str, ...], start: int, end: int) -> None:
    topic = sheet.text[start:end]
    either = words.items.either.search(topic) is not None
    tags = words.items.tags.names
    beyond = re.sub(rf"(?<!\w){tags.any}(?!\w)", lambda tag: "·" * len(tag.group()), topic)
    meant = [word for word in _WORD.findall(beyond) if word not in words.talk.fillers]
    if all(words.items.either.fullmatch(word) for word in meant):
        found.put("tags", Choice(tuple(tags.find(topic)), every=not either))
    elif words.filters.unsearchable.search(" ".join(left).lower()) or (
        either and len(left) != len(words.items.either.split(topic))
    ):
        found.problems.append(sheet.original[start:end].strip())
    else:
        found.put("words", Choice(left, every=not either))


def read_title_words(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read which words a title must hold."""
    for pattern in words.filters.in_title:
        match = pattern.search(sheet.text)
        if not match:
            continue
        text = group(match, "words") or ""
        start = match.start() + match.group().index(text)
        said = words_between(sheet, words, start, start + len(text))
        if said and not words.filters.unsearchable.search(text):
            sheet.cross_out(*match.span())
            found.put("title_words", said)
            return


def read_quotes(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read a phrase in quotes, before anything in it can be taken for something else; it is searched as it stands."""
    match = _QUOTED.search(sheet.text)
    if not match:
        return
    inside = Choice((sheet.original[match.start() + 1 : match.end() - 1],), every=True)
    in_title = next((m for p in words.filters.in_title if (m := _holding(p, sheet, match))), None)
    lead = _holding(words.filters.about, sheet, match)
    if in_title:
        found.put("title_words", inside.values)
        sheet.cross_out(*in_title.span())
    else:
        found.put("words", inside)
        sheet.cross_out(lead.start() if lead else match.start(), match.end())


def _holding(pattern: re.Pattern[str], sheet: Sheet, quoted: re.Match[str]) -> re.Match[str] | None:
    """Return the pattern's match if what it introduces, or asks for, is the quoted phrase."""
    for match in pattern.finditer(sheet.text):
        words = group(match, "words") or group(match, "topic") or ""
        if words and match.start() <= quoted.start() < match.end() and words.lstrip().startswith(quoted.group()[0]):
            return match
    return None


def without_quotes(prompt: str, words: Vocabulary) -> str:
    """Take the quotes off names of tags, authors and languages, which need none."""
    items = words.items
    names = "|".join(kind.any for kind in (items.tags.names, items.authors.names, items.locales.names))
    return re.sub(rf"[\"'“”«»‘’]\s?({names})\s?[\"'“”«»‘’](?!\w)", r"\1", prompt, flags=re.IGNORECASE)

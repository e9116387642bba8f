"""Reads what items have: authors, tags, languages. Each can be one, several of which any or all count, or excluded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contit_mcp.sandbox.assistant.query import Choice

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import ListPhrases, Vocabulary


def read_authors(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read who wrote an item, or did not."""
    authors = words.items.authors
    found.put("not_authors", _excluded(sheet, authors, found, "not_authors"))
    names: list[str] = []
    for match in sheet.take_all(authors.have):
        names += authors.names.find(match.group())
        both = words.items.both.search(match.group()) and not words.items.either.search(match.group())
        if both and len(names) > 1:
            found.problems.append(sheet.original[match.start() : match.end()].strip())  # an item has one author
        _count(found, "authors")
    found.put("authors", tuple(dict.fromkeys(names)))


def read_locales(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read which languages an item exists in, or does not."""
    only = sheet.take(words.items.only_locale)
    if only and not found.refers:
        found.put("only_locale", words.items.locales.names.find(only.group())[0])
    elif only:
        found.put("locales", Choice(tuple(words.items.locales.names.find(only.group())), every=True))
    everywhere = sheet.take(words.items.every_locale)
    excluded = _excluded(sheet, words.items.locales, found, "not_locales")
    found.put("not_locales", excluded)
    if everywhere:
        names = (value for _, value in words.items.locales.names.forms if value not in excluded)
        found.put("locales", Choice(tuple(names), every=True))
    _choose(sheet, words, words.items.locales, found, "locales")


def read_not_tags(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read which tags an item must not have."""
    found.put("not_tags", _excluded(sheet, words.items.tags, found, "not_tags"))


def read_tags(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read which tags an item has."""
    _choose(sheet, words, words.items.tags, found, "tags")


def _choose(sheet: Sheet, words: Vocabulary, phrases: ListPhrases, found: Found, name: str) -> None:
    for match in sheet.take_all(phrases.have):
        values = tuple(phrases.names.find(match.group()))
        any_of = len(values) > 1 and words.items.either.search(match.group()) is not None
        before: Choice | None = found.fields.get(name)
        _count(found, name)
        if before is None:
            found.put(name, Choice(values, every=not any_of))
        elif before.every and not any_of:
            found.put(name, Choice(tuple(dict.fromkeys(before.values + values)), every=True))
        else:
            found.problems.append(sheet.original[match.start() : match.end()].strip())


def _excluded(sheet: Sheet, phrases: ListPhrases, found: Found, name: str) -> tuple[str, ...]:
    matches = sheet.take_all(phrases.have_not)
    values = [value for match in matches for value in phrases.names.find(match.group())]
    for _ in matches:
        _count(found, name)
    return tuple(dict.fromkeys(values))


def _count(found: Found, name: str) -> None:
    found.mentions[name] = found.mentions.get(name, 0) + 1

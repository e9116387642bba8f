"""Reads which kinds of items are meant: types, product categories, states."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.names import Names
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary


def read_state(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read whether drafts or published items are meant. Both, or neither said, means any."""
    items = words.items
    both = sheet.take_all(items.any_state)
    matches = [] if _negated_draft(sheet, words) else sheet.take_all(items.draft)
    drafts = bool(matches)
    found.not_published = next((m.group() for m in matches if items.published.search(m.group())), "")
    published = bool(sheet.take_all(items.published))
    if (drafts or published) and items.all_are.search(sheet.whole):
        found.wanted, found.wanted_said = "count", True  # the count says how many are in which state
        return
    if both or drafts or published:
        found.mentions["state"] = 1
    if drafts and published:
        found.mentions["state"] = 2
    if both or (drafts and published):
        found.freed.add("state")
    elif drafts or published:
        found.put("state", "Draft" if drafts else "Published")


def check_state(found: Found) -> None:
    """Refuse "not published in 2025": whether drafts of 2025 are meant, or what is not of 2025, cannot be told."""
    if found.not_published and "period" in found.fields and "date_field" not in found.fields:
        found.problems.append(found.not_published)


def read_any_type(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read "of any type", before a topic that it follows can swallow it."""
    if sheet.take_all(words.items.any_type):
        found.freed |= {"types", "categories"}


def read_types(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read articles, products, pages, and the categories that products have."""
    items = words.items
    excluded = _excluded_types(sheet, words)
    types: list[str] = [name for _, name in items.types.forms if name not in excluded] if excluded else []
    categories: list[str] = []
    lists = sheet.take_all(_lists(items.types, items.categories, items.type_join))
    for match in lists:
        types += items.types.find(match.group())
        categories += items.categories.find(match.group())
    if categories and types not in ([], ["Product"]):
        found.problems.append(sheet.original[lists[0].start() : lists[0].end()])
    elif categories:
        types = ["Product"]
    if lists:
        found.mentions["types"] = len(lists)
    found.put("types", tuple(dict.fromkeys(types)))
    found.put("categories", tuple(dict.fromkeys(categories)))
    any_item = sheet.take_all(items.items)
    found.has_noun = found.has_noun or bool(lists or any_item)


def _excluded_types(sheet: Sheet, words: Vocabulary) -> list[str]:
    one = words.items.types.any
    pattern = rf"(?<!\w){words.items.except_types} ?{one}(?!\w)(?:{words.items.type_join}{one}(?!\w))*"
    return [name for match in sheet.take_all(re.compile(pattern)) for name in words.items.types.find(match.group())]


def _negated_draft(sheet: Sheet, words: Vocabulary) -> bool:
    """Tell "not drafts" and "drafts excluded" from drafts: the pattern for published items knows them as more."""
    published, draft = words.items.published.search(sheet.text), words.items.draft.search(sheet.text)
    if not published or not draft or published.span() == draft.span():
        return False
    return published.start() <= draft.start() and published.end() >= draft.end()


@lru_cache
def _lists(types: Names, categories: Names, join: str) -> re.Pattern[str]:
    one = f"(?:{categories.any}|{types.any})"
    return re.compile(rf"(?<!\w){one}(?!\w)(?:{join}{one}(?!\w))*")

"""Reads what is to be said about items, and how a question leans on the one before it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.reading.patterns import group

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute
    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

_NUMBER: Final = re.compile(r"\d+")


def read_references(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read "only …", "what about …" and "it"."""
    talk = words.talk
    if sheet.take(talk.only):
        found.refers = "only"
    elif sheet.take(talk.what_about):
        found.refers = "and"
    if not found.named:
        matches = sheet.take_all(talk.focus)
        found.focus, found.focus_at = bool(matches), matches[0].start() if matches else 0


def read_them(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read "which of them", once "except those by …" has been read."""
    if sheet.take_all(words.talk.them):
        found.refers = found.refers or "them"
    found.the_one = words.talk.the_one.search(sheet.whole) is not None
    found.elliptic = words.talk.elliptic.search(sheet.whole) is not None


def read_picks(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read numbers of entries in the last list: "the second one", "number 3", "the first and the last"."""
    match = words.talk.pick.search(sheet.text)
    if not match or found.named:
        return
    if found.narrowed():
        return
    numbers = group(match, "numbers")
    if upto := group(match, "upto"):
        found.picks = tuple(range(1, (int(upto) if upto.isdigit() else words.asks.numbers[upto]) + 1))
    elif numbers:
        found.picks = tuple(int(number) for number in _NUMBER.findall(numbers))
    else:
        found.picks = tuple(int(number) for number in words.talk.ordinals.find(group(match, "ordinals") or ""))
    sheet.cross_out(*match.span())


def read_groups(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read what to count by: "per author", "each month"."""
    for dimension, pattern in words.asks.groups:
        if sheet.take(pattern):
            if found.dimension:
                found.problems.append(dimension)
            found.dimension = dimension


def read_wanted(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read whether items are to be counted, averaged or compared; else they are listed."""
    asks = words.asks
    if sheet.take_all(asks.count):
        found.wanted, found.wanted_said = "count", True
    if sheet.take(asks.average):
        found.wanted, found.wanted_said = "average", True
    if match := asks.most_of_one.search(sheet.text):
        found.problems.append(sheet.original[match.start() : match.end()])
    if sheet.take(asks.most):
        found.extreme = "most"
    elif sheet.take(asks.fewest):
        found.extreme = "fewest"


def read_attributes(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read which properties are asked for, and what the filters ask for when they stand beside one item."""
    if sheet.take_all(words.asks.details):
        found.details = True
    for attribute, pattern in words.asks.attributes:
        if sheet.take_all(pattern):
            found.asked.add(attribute)
    if found.speaks_of_items():
        if "locales" in found.fields and words.items.available.search(sheet.whole):
            found.asked.add("locales")
        found.asked |= _beside_an_item(found)


def _beside_an_item(found: Found) -> set[Attribute]:
    """Return what is asked of one item by filters: "is it published?", "is it by Anna?", "is it in German?"."""
    asked: set[Attribute] = set()
    fields = found.fields
    if "state" in found.mentions and not found.asked & {"date", "author", "updated", "created"}:
        asked.add("state")
    if "authors" in fields or "not_authors" in fields:
        asked.add("author")
    if "period" in fields:
        asked.add("date")
    if "tags" in fields or "not_tags" in fields:
        asked.add("tags")
    if "not_locales" in fields or "only_locale" in fields:
        asked.add("locales")
    if "price" in fields:
        asked.add("price")
    return asked

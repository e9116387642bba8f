"""Reads in which order items are wanted, and how many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contit_mcp.sandbox.assistant.query import Order
from contit_mcp.sandbox.assistant.reading.patterns import group

if TYPE_CHECKING:
    import re

    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

A_FEW = 5
"""How many "the latest articles" are, when the question does not say."""


def read_sorting(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read an order for all of them, such as "by title" or "oldest first"."""
    for pattern, key, descending in words.asks.sorted_by:
        if sheet.take(pattern):
            found.put("order", Order(key, descending=descending))
            return


def read_superlative(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read superlatives, such as "the three newest"; one item is wanted if one is spoken of, else a few."""
    if found.named or found.picks:
        return
    for pattern, key, descending in words.asks.orders:
        match = pattern.search(sheet.text)
        if not match:
            continue
        if found.focus and match.start() > found.focus_at:
            return
        found.focus = False  # "our cheapest product, and what does it cost?" speaks of that product
        sheet.cross_out(*match.span())
        if "order" in found.fields:
            found.problems.append(sheet.original[match.start() : match.end()])
            return
        if set(found.fields) - {"types", "categories"} and words.asks.of_the_one.search(sheet.whole):
            found.problems.append(sheet.original)
        found.put("order", Order(key, descending=descending))
        number = _number(match, words) or _number(sheet.take(words.asks.number_of_items), words)
        several = words.items.several.search(sheet.whole) and not words.asks.one_of_many.search(sheet.whole)
        found.put("limit", number or (A_FEW if several else 1))
        return


def read_number(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read how many items are wanted of a plain list, as in "show me three articles"."""
    if (
        found.wanted == "list"
        and "limit" not in found.fields
        and (found.has_noun or found.refers or "state" in found.fields)
    ):
        found.put("limit", _number(sheet.take(words.asks.number_of_items), words))


def _number(match: re.Match[str] | None, words: Vocabulary) -> int | None:
    if not match:
        return None
    said = group(match, "n")
    if not said:
        return None
    return int(said) if said.isdigit() else words.asks.numbers[said]

"""Reads bounds on prices, and which of an item's dates a period or an order speaks of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from contit_mcp.sandbox.assistant.periods import Period
from contit_mcp.sandbox.assistant.query import PriceRange
from contit_mcp.sandbox.assistant.reading.patterns import group

if TYPE_CHECKING:
    import re

    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary


def read_price(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read between which prices products are wanted; a number alone is a price only where products are spoken of."""
    about_products = "Product" in words.items.types.find(sheet.whole) or words.items.categories.find(sheet.whole)
    if not (about_products or words.filters.price.search(sheet.whole) or "€" in sheet.whole):
        return
    for pattern, inside in words.filters.bounds:
        match = pattern.search(sheet.text)
        if match:
            sheet.cross_out(*match.span())
            price: PriceRange = found.fields.get("price") or PriceRange()
            if exact := _number(match, "exact"):
                price = replace(price, low=exact, high=exact)
            if low := _number(match, "low"):
                price = replace(price, low=low, low_inside=inside)
            if high := _number(match, "high"):
                price = replace(price, high=high, high_inside=inside)
            found.put("price", price)
            found.put("types", ("Product",))


def _number(match: re.Match[str], name: str) -> float | None:
    text = group(match, name)
    return float(text.replace(",", ".")) if text else None


def read_date_field(sheet: Sheet, words: Vocabulary, found: Found) -> None:
    """Read which date is meant: of the last change, of the creation, or of the publication."""
    period: Period | None = found.fields.get("period")
    if unchanged := sheet.take(words.filters.not_updated):
        found.problems.append(unchanged.group())
        return
    for name, pattern in (("updated", words.filters.updated), ("created", words.filters.created)):
        match = pattern.search(sheet.text)
        if not match:
            continue
        if period:
            found.put("date_field", name)
        elif found.speaks_of_items() and not _asks_who(sheet, words):
            found.asked.add("updated" if name == "updated" else "created")
            sheet.take(words.asks.when)
        elif name == "created" and "authors" in found.fields:
            pass  # who created an item is its author
        elif not ("order" in found.fields and found.fields["order"].key == name):
            return
        sheet.cross_out(*match.span())
        return


def _asks_who(sheet: Sheet, words: Vocabulary) -> bool:
    """Whether a person is asked for. Who wrote an item is known, who changed it last is not."""
    return any(name == "author" and pattern.search(sheet.text) for name, pattern in words.asks.attributes)

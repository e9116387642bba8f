"""Says in English which items a query means: every condition of it, so that nobody has to guess what was counted."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.workspace import load_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contit_mcp.sandbox.assistant.periods import Period
    from contit_mcp.sandbox.assistant.query import Choice, Dimension, PriceRange, Query

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
LANGUAGES: Final = {"en": "English", "it": "Italian", "de": "German"}
TYPES: Final = {"Article": ("article", "articles"), "Product": ("product", "products"), "Page": ("page", "pages")}
CATEGORIES: Final = {
    "accessories": ("accessory", "accessories"),
    "backpacks": ("backpack", "backpacks"),
    "boots": ("pair of boots or shoes", "boots and shoes"),
    "jackets": ("jacket", "jackets"),
    "sleeping-bags": ("sleeping bag", "sleeping bags"),
    "tents": ("tent", "tents"),
}
_STATES: Final = {"Draft": "draft", "Published": "published"}
_DATED: Final = {"published": "published", "updated": "last changed", "created": "created"}


def subject(query: Query, count: int) -> str:
    """Say which items are meant, without their number."""
    said = conditions(query)
    state = "" if any(part.startswith("published") for part in said) else _STATES.get(query.state or "", "")
    return " ".join(part for part in (state, noun(query, count), *said) if part)


def noun(query: Query, count: int) -> str:
    """Say what kind of items they are."""
    one = count == 1
    if query.categories:
        return joined((CATEGORIES[name][not one] for name in query.categories), "or" if one else "and")
    if query.types:
        return joined((TYPES[name][not one] for name in query.types), "or" if one else "and")
    return "item" if one else "items"


def conditions(query: Query) -> list[str]:
    """Say every condition but state and kind."""
    tags = load_workspace().tags
    named = {name: f"“{label['en']}”" for name, label in tags.items()}
    parts = []
    if query.authors:
        parts.append(f"by {joined(query.authors, 'or')}")
    if query.not_authors:
        parts.append(f"not by {joined(query.not_authors, 'or')}")
    if query.tags:
        parts.append(f"tagged {_chosen(query.tags, named)}")
    if query.not_tags:
        but = "but not" if query.tags else "not tagged"
        parts.append(f"{but} {joined((named[tag] for tag in query.not_tags), 'or')}")
    if query.words:
        parts.append(f"mentioning {_chosen(query.words, {word: f'“{word}”' for word in query.words.values})}")
    if query.title_words:
        parts.append(f"with {joined((f'“{word}”' for word in query.title_words), 'and')} in the title")
    if query.locales:
        parts.append(f"available in {_chosen(query.locales, LANGUAGES)}")
    if query.only_locale:
        parts.append(f"available only in {LANGUAGES[query.only_locale]}")
    if query.not_locales:
        but = "but not" if query.locales else "not available"
        parts.append(f"{but} in {joined((LANGUAGES[name] for name in query.not_locales), 'or')}")
    if query.price:
        parts.append(_priced(query.price))
    if query.period:
        parts.append(_dated(query, query.period))
    if query.within is not None:
        parts.append("among those")
    return parts


def joined(parts: Iterable[str], word: str) -> str:
    """Join parts with commas and, before the last, a word."""
    *first, last = parts
    return f"{', '.join(first)} {word} {last}" if first else last


def day_words(day: dt.date, *, year: bool = True) -> str:
    """Say a day."""
    return f"{MONTHS[day.month - 1]} {day.day}" + (f", {day.year}" if year else "")


def value_words(dimension: Dimension, value: str) -> str:
    """Say one value of a dimension."""
    match dimension:
        case "type":
            return TYPES[value][1]
        case "state":
            return "drafts" if value == "Draft" else "published"
        case "tag":
            return load_workspace().tags[value]["en"]
        case "locale":
            return LANGUAGES[value]
        case "category":
            return CATEGORIES[value][1]
        case "month":
            return f"{MONTHS[int(value[5:]) - 1]} {value[:4]}"
        case _:
            return value


def money_words(amount: float) -> str:
    """Say a price."""
    return f"€{amount:,.2f}"


def _chosen(choice: Choice, names: dict[str, str]) -> str:
    return joined((names[value] for value in choice.values), "and" if choice.every else "or")


def _priced(price: PriceRange) -> str:
    low = money_words(price.low) if price.low is not None else ""
    high = money_words(price.high) if price.high is not None else ""
    if low and low == high:
        return f"priced at {low}"
    if low and high:
        return f"priced between {low} and {high}"
    if low:
        return f"priced {'at' if price.low_inside else 'over'} {low}{' or more' if price.low_inside else ''}"
    return f"priced {'at' if price.high_inside else 'under'} {high}{' or less' if price.high_inside else ''}"


def _dated(query: Query, period: Period) -> str:
    whole = _whole(period)
    default = "published" if query.state == "Published" else "updated" if query.state == "Draft" else None
    field = query.date_field or default
    if whole and field in {"published", None}:
        return f"from {whole}"
    verb = _DATED[field] if field else "dated"
    if period.start and period.start == period.end:
        return f"{verb} on {day_words(period.start)}"
    if whole:
        return f"{verb} in {whole}"
    if period.start and period.end:
        return f"{verb} between {day_words(period.start)} and {day_words(period.end)}"
    if period.start:
        return f"{verb} since {day_words(period.start)}"
    return f"{verb} up to {day_words(period.end or dt.date.max)}"


def _whole(period: Period) -> str | None:
    year, month = period.full_year(), period.full_month()
    if month:
        return f"{MONTHS[month.month - 1]} {month.year}"
    return str(year) if year else None

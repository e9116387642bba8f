"""Runs a query against the workspace's database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.query import Choice, Dimension, Order, Query
from contit_mcp.sandbox.assistant.stems import stem, words_of
from contit_mcp.sandbox.assistant.workspace import LOCALES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from contit_mcp.sandbox.assistant.items import Item
    from contit_mcp.sandbox.assistant.workspace import Workspace

NEWEST_FIRST: Final = Order("date", descending=True)
"""How lists are sorted when the question does not say."""

_COLUMNS: Final = {
    "date": "date",
    "updated": "updated",
    "created": "created",
    "price": "price",
    "title": "sort_title",
    "published": "published",
}


@dataclass
class _Conditions:
    """The WHERE part of a statement: its fixed texts, and the values for their question marks."""

    texts: list[str]
    values: list[object]

    def add(self, text: str, *values: object) -> None:
        self.texts.append(text)
        self.values.extend(values)

    def one_of(self, column: str, values: Sequence[object], *, negated: bool = False) -> None:
        marks = ", ".join("?" * len(values))
        self.add(f"{column} {'NOT IN' if negated else 'IN'} ({marks})", *values)

    def choice(self, text: str, choice: Choice) -> None:
        joiner = " AND " if choice.every else " OR "
        self.add(f"({joiner.join([text] * len(choice.values))})", *choice.values)


def find(workspace: Workspace, query: Query) -> list[Item]:
    """Return the items a query means, in its order, as many as it asks for."""
    conditions = _conditions(query)
    order = query.order or NEWEST_FIRST
    if order.key == "price":
        conditions.add("price IS NOT NULL")
    where = " AND ".join(conditions.texts) or "1"
    direction = "DESC" if order.descending else "ASC"
    # Only the fixed texts of this module go into the statement; everything from the question is a value.
    statement = f"SELECT id FROM items WHERE {where} ORDER BY {_COLUMNS[order.key]} {direction}, date DESC"  # noqa: S608
    if query.limit is not None:
        statement += " LIMIT ?"
        conditions.values.append(query.limit)
    return [workspace.items[row[0]] for row in workspace.database.execute(statement, conditions.values)]


def count_by(items: Iterable[Item], dimension: Dimension) -> list[tuple[str, int]]:
    """Count items by one of their properties, the largest first; months and years in their order."""
    counts = Counter(value for item in items for value in _values(item, dimension))
    if dimension in {"month", "year"}:
        return sorted(counts.items())
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _values(item: Item, dimension: Dimension) -> tuple[str, ...]:
    match dimension:
        case "type":
            return (item.type,)
        case "state":
            return (item.state,)
        case "author":
            return (item.author,)
        case "tag":
            return item.tags
        case "locale":
            return tuple(item.translations)
        case "category":
            return (item.category,) if item.category else ()
        case "month":
            return (item.date.strftime("%Y-%m"),)
        case "year":
            return (item.date.strftime("%Y"),)


def _conditions(query: Query) -> _Conditions:
    where = _Conditions([], [])
    if query.types:
        where.one_of("type", query.types)
    if query.categories:
        where.one_of("category", query.categories)
    if query.state:
        where.add("state = ?", query.state)
    if query.authors:
        where.one_of("author", query.authors)
    if query.not_authors:
        where.one_of("author", query.not_authors, negated=True)
    if query.within is not None:
        where.one_of("id", query.within)
    _add_period(query, where)
    _add_price(query, where)
    _add_tags(query, where)
    _add_locales(query, where)
    if query.words:
        match = (" AND " if query.words.every else " OR ").join(_match(word) for word in query.words.values)
        where.add("id IN (SELECT item FROM texts WHERE texts MATCH ?)", match)
    if query.title_words:
        match = " AND ".join(_match(word) for word in query.title_words)
        where.add("id IN (SELECT item FROM titles WHERE titles MATCH ?)", match)
    return where


def _add_period(query: Query, where: _Conditions) -> None:
    if query.period is None:
        return
    column = _COLUMNS[query.date_field or "date"]
    if query.period.start:
        where.add(f"substr({column}, 1, 10) >= ?", query.period.start.isoformat())
    if query.period.end:
        where.add(f"substr({column}, 1, 10) <= ?", query.period.end.isoformat())


def _add_price(query: Query, where: _Conditions) -> None:
    price = query.price
    if price is None:
        return
    if price.low is not None:
        where.add("price >= ?" if price.low_inside else "price > ?", price.low)
    if price.high is not None:
        where.add("price <= ?" if price.high_inside else "price < ?", price.high)


def _add_tags(query: Query, where: _Conditions) -> None:
    has_tag = "EXISTS (SELECT 1 FROM tags WHERE item = id AND tag = ?)"
    if query.tags:
        where.choice(has_tag, query.tags)
    for tag in query.not_tags:
        where.add(f"NOT {has_tag}", tag)


def _add_locales(query: Query, where: _Conditions) -> None:
    has_locale = "EXISTS (SELECT 1 FROM locales WHERE item = id AND locale = ?)"
    if query.locales:
        where.choice(has_locale, query.locales)
    for locale in query.not_locales:
        where.add(f"NOT {has_locale}", locale)
    if query.only_locale:
        where.add(has_locale, query.only_locale)
        where.add("(SELECT count(*) FROM locales WHERE item = id) = 1")


def _match(word: str) -> str:
    """Return the full-text expression for one word or phrase, in each language's own form."""
    forms = (f'{{{locale}}} : "{" ".join(stem(part, locale) for part in words_of(word))}"' for locale in LOCALES)
    return f"({' OR '.join(forms)})"

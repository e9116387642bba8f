"""The query that a question becomes: conditions, an order and a limit, run over the items of a workspace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

from contit_mcp.sandbox.content import Item, Workspace
from contit_mcp.sandbox.lexicon import endings_of, words

TIMES = ("month", "year")
"""What items can be counted by beside their facets."""


@dataclass(frozen=True)
class Condition:
    """A condition on one field: a facet has values, a number or a date lies within bounds, or a text has a phrase."""

    field: str
    values: tuple[str, ...] = ()
    """Values of a facet, or phrases."""
    mode: Literal["any", "all", "only", "range", "text"] = "any"
    low: Any = None
    high: Any = None
    strict: bool = False
    """Whether the bounds are left out."""
    negated: bool = False
    ids: frozenset[str] = frozenset()
    """The items that have the phrases."""

    def holds(self, item: Item) -> bool:
        """Return whether the condition holds of an item."""
        if self.mode == "range":
            day = item.date(self.field)
            value = item.numbers.get(self.field) if day is None else day.date()
            if value is None:
                return False
            above = self.low is None or value > self.low or (value == self.low and not self.strict)
            return above and (self.high is None or value < self.high or (value == self.high and not self.strict))
        if self.mode == "text":
            return (item.id in self.ids) != self.negated
        has, wanted = set(item.facets.get(self.field, ())), set(self.values)
        held = has == wanted if self.mode == "only" else wanted <= has if self.mode == "all" else bool(has & wanted)
        return held != self.negated


@dataclass(frozen=True)
class Order:
    """By a date, a number, or the title."""

    field: str = "date"
    descending: bool = True


@dataclass(frozen=True)
class Query:
    """What is asked for."""

    conditions: tuple[Condition, ...] = ()
    within: frozenset[str] | None = None
    """Only among the items with these ids."""
    order: Order | None = None
    limit: int | None = None
    skip: int = 0
    """How many of the order to leave out: 1 for the second cheapest."""

    def get(self, field: str) -> Condition | None:
        """Return the condition on a field."""
        return next((condition for condition in self.conditions if condition.field == field), None)

    @property
    def period(self) -> Condition | None:
        """The condition on a date."""
        return next(
            (one for one in self.conditions if one.mode == "range" and hasattr(one.low or one.high, "year")), None
        )

    def without(self, fields: set[str]) -> Query:
        """Return this query without the conditions on some fields."""
        return replace(self, conditions=tuple(one for one in self.conditions if one.field not in fields))


def find(workspace: Workspace, query: Query) -> list[Item]:
    """Return the items of a query, in its order: the most recent first where it names none."""
    found = [
        item
        for item in workspace.items
        if (query.within is None or item.id in query.within) and all(one.holds(item) for one in query.conditions)
    ]
    order = query.order or Order()

    def key(item: Item) -> Any:
        if order.field == "title":
            return item.title("en").casefold()
        day = item.date(order.field)
        return item.numbers.get(order.field) if day is None else day.timestamp()

    keyed = [(key(item), item) for item in found]
    known = sorted((pair for pair in keyed if pair[0] is not None), key=lambda pair: pair[0], reverse=order.descending)
    undated = [] if query.order else [pair for pair in keyed if pair[0] is None]
    return [item for _, item in known + undated][query.skip :][: query.limit]


def count_by(items: list[Item], field: str) -> list[tuple[str, int]]:
    """Count items by a facet, the most frequent first, or by the month or year of their date, in order."""
    if field in TIMES:
        days = [day for item in items if (day := item.date("date"))]
        return sorted(Counter(day.isoformat()[: 7 if field == "month" else 4] for day in days).items())
    counts = Counter(value for item in items for value in item.facets.get(field, ()))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0].casefold()))


class TextIndex:
    """Finds phrases in titles and texts, in each locale by the endings of its language."""

    def __init__(self, workspace: Workspace) -> None:
        self._lines: list[tuple[str, str, bool, str]] = []
        for item in workspace.items:
            for source in (item.titles, item.texts):
                for locale, text in source.items():
                    self._lines.append((item.id, locale, source is item.titles, f" {self._stems(text, locale)} "))
        self._locales = {locale for _, locale, _, _ in self._lines}
        self.vocabulary = frozenset(
            word.folded
            for item in workspace.items
            for text in (*item.titles.values(), *item.texts.values())
            for word in words(text, ())
        )

    def _stems(self, text: str, locale: str) -> str:
        return " ".join(word.stem for word in words(text, endings_of(locale)))

    def find(self, phrase: str, *, title_only: bool = False, apart: bool = True) -> frozenset[str]:
        """Return the ids of the items with a phrase: its words side by side, else, if they may be apart, anywhere."""
        wanted = {locale: stems for locale in self._locales if (stems := self._stems(phrase, locale))}
        lines = [one for one in self._lines if one[1] in wanted and (one[2] or not title_only)]
        found = frozenset(ident for ident, locale, _, line in lines if f" {wanted[locale]} " in line)
        if found or not apart:
            return found
        texts: dict[tuple[str, str], str] = {}
        for ident, locale, _, line in lines:
            texts[ident, locale] = texts.get((ident, locale), "") + line
        return frozenset(
            ident
            for (ident, locale), line in texts.items()
            if all(f" {one} " in line for one in wanted[locale].split())
        )

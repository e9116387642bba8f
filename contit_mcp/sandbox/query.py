"""The query that a question becomes: conditions, an order and a limit, run over the items of a workspace."""

from dataclasses import dataclass
from typing import Any

from contit_mcp.sandbox.content import Item, Workspace
from contit_mcp.sandbox.lexicon import endings_of, words


@dataclass(frozen=True)
class Condition:
    """A condition on one field: a facet has values, the text has a phrase, or a number or a date lies within bounds."""

    field: str
    values: tuple[str, ...] = ()  # of a facet, or phrases; empty for bounds
    low: Any = None
    high: Any = None
    strict: bool = False  # whether the bounds themselves are excluded
    negated: bool = False
    ids: frozenset[str] = frozenset()  # the items that have the phrases

    def holds(self, item: Item) -> bool:
        """Return whether the condition holds of an item."""
        if self.field == "text" and self.values:  # without values it is a number field that is called "text"
            return (item.id in self.ids) != self.negated
        if self.values:
            return bool(set(item.facets.get(self.field, ())) & set(self.values)) != self.negated
        day = item.date(self.field)
        value = item.numbers.get(self.field) if day is None else day.date()
        if value is None or (self.strict and value in (self.low, self.high)):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Order:
    """The order of a list: by a date, a number, or the title."""

    field: str = "date"
    descending: bool = True


@dataclass(frozen=True)
class Query:
    """What is asked for."""

    conditions: tuple[Condition, ...] = ()
    within: frozenset[str] | None = None  # only among the items with these ids
    order: Order | None = None
    limit: int | None = None

    def get(self, field: str) -> Condition | None:
        """Return the condition on a field."""
        return next((condition for condition in self.conditions if condition.field == field), None)


def find(workspace: Workspace, query: Query) -> list[Item]:
    """Return the items of a query, in its order: the most recent first where it names none."""
    order = query.order or Order()

    def key(item: Item) -> Any:
        if order.field == "title":
            return item.title("en").casefold()
        day = item.date(order.field)
        return item.numbers.get(order.field) if day is None else day.timestamp()

    among = [item for item in workspace.items if query.within is None or item.id in query.within]
    found = [item for item in among if all(one.holds(item) for one in query.conditions)]
    known = sorted((item for item in found if key(item) is not None), key=key, reverse=order.descending)
    undated = [] if query.order else [item for item in found if key(item) is None]
    return [*known, *undated][: query.limit]


class TextIndex:
    """Finds phrases in titles and texts, in each locale by the endings of its language."""

    def __init__(self, workspace: Workspace) -> None:
        self._texts: list[tuple[str, str, str]] = []
        found: set[str] = set()
        for item in workspace.items:
            for locale in {*item.titles, *item.texts}:
                parts = [words(one.get(locale, ""), endings_of(locale)) for one in (item.titles, item.texts)]
                stems = " . ".join(" ".join(word.stem for word in part) for part in parts)
                self._texts.append((item.id, locale, f" {stems} "))
                found |= {word.folded for part in parts for word in part}
        self.vocabulary = frozenset(found)

    def find(self, phrase: str) -> frozenset[str]:
        """Return the ids of the items with a phrase: its words side by side."""
        locales = {locale for _, locale, _ in self._texts}
        stems = {locale: " ".join(word.stem for word in words(phrase, endings_of(locale))) for locale in locales}
        return frozenset(ident for ident, locale, text in self._texts if f" {stems[locale]} " in text)

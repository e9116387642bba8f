"""The query that a question becomes: conditions, an order and a limit, run over the items of a workspace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from contit_mcp.sandbox.text import words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contit_mcp.sandbox.content import Item, Workspace

Endings = tuple[tuple[tuple[str, str], ...], ...]

DATE_FIELDS = ("date", "published", "updated", "created")


class Condition(Protocol):
    """Something that holds of an item or does not."""

    @property
    def field(self) -> str:
        """The field it is about; a new condition on a field replaces the one before."""

    def holds(self, item: Item) -> bool:
        """Return whether it holds of an item."""


@dataclass(frozen=True)
class Choice:
    """A facet has one of the values, or each of them, or these and no other."""

    field: str
    values: tuple[str, ...]
    mode: Literal["any", "all", "only"] = "any"
    negated: bool = False

    def holds(self, item: Item) -> bool:
        """Return whether it holds of an item."""
        has = set(item.facets.get(self.field, ()))
        wanted = set(self.values)
        held = {"any": bool(has & wanted), "all": wanted <= has, "only": has == wanted}[self.mode]
        return held != self.negated


@dataclass(frozen=True)
class Range:
    """A number lies between two bounds, or on one."""

    field: str
    low: float | None = None
    high: float | None = None
    strict: bool = False

    def holds(self, item: Item) -> bool:
        """Return whether it holds of an item."""
        number = item.numbers.get(self.field)
        if number is None:
            return False
        if self.strict:
            return (self.low is None or number > self.low) and (self.high is None or number < self.high)
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


@dataclass(frozen=True)
class Period:
    """A date lies within two days, both included."""

    field: str = "date"
    start: date | None = None
    end: date | None = None

    def holds(self, item: Item) -> bool:
        """Return whether it holds of an item."""
        moment = moment_of(item, self.field)
        if moment is None:
            return False
        day = moment.date()
        return (self.start is None or day >= self.start) and (self.end is None or day <= self.end)


@dataclass(frozen=True)
class Phrases:
    """A title, or a title or text, contains one of the phrases: its words side by side, else all of them anywhere."""

    phrases: tuple[str, ...]
    texts: Mapping[str, frozenset[str]]
    """By phrase, the ids of the items that contain it."""
    title_only: bool = False
    negated: bool = False
    field: str = "text"

    def holds(self, item: Item) -> bool:
        """Return whether it holds of an item."""
        return any(item.id in self.texts[phrase] for phrase in self.phrases) != self.negated


@dataclass(frozen=True)
class Order:
    """By a date or a number field, or by title."""

    field: str
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

    def without(self, *fields: str) -> Query:
        """Return this query without the conditions on some fields."""
        return replace(self, conditions=tuple(one for one in self.conditions if one.field not in fields))

    def with_(self, *conditions: Condition) -> Query:
        """Return this query with conditions, each in place of the one on its field."""
        kept = self.without(*(condition.field for condition in conditions))
        return replace(kept, conditions=(*kept.conditions, *conditions))


def moment_of(item: Item, field: str) -> datetime | None:
    """Return a date of an item; "date" is its publication, or the last change of a draft."""
    return item.date if field == "date" else item.dates.get(field)


def find(workspace: Workspace, query: Query) -> list[Item]:
    """Return the items of a query, in its order: the most recent first where it names none."""
    found = [
        item
        for item in workspace.items
        if (query.within is None or item.id in query.within) and all(one.holds(item) for one in query.conditions)
    ]
    order = query.order or Order("date")
    if order.field == "title":
        found.sort(key=lambda item: item.title("en").casefold(), reverse=order.descending)
    elif order.field in DATE_FIELDS:
        dated = [item for item in found if moment_of(item, order.field)]
        undated = [] if query.order else [item for item in found if not moment_of(item, order.field)]
        never = datetime.min.replace(tzinfo=UTC)
        dated.sort(key=lambda item: moment_of(item, order.field) or never, reverse=order.descending)
        found = dated + undated
    else:
        found = [item for item in found if order.field in item.numbers]
        found.sort(key=lambda item: item.numbers[order.field], reverse=order.descending)
    return found[query.skip :][: query.limit]


def count_by(items: list[Item], field: str) -> list[tuple[str, int]]:
    """Count items by a facet, or by the month or year of their date; the most frequent first, months in order."""
    if field in ("month", "year"):
        length = {"month": 7, "year": 4}[field]
        return sorted(Counter(item.date.date().isoformat()[:length] for item in items if item.date).items())
    counts = Counter(value for item in items for value in item.facets.get(field, ()))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0].casefold()))


class TextIndex:
    """Finds phrases in titles and texts, each locale by the endings of its language."""

    def __init__(self, workspace: Workspace, endings: Callable[[str], Endings]) -> None:
        self._endings = endings
        self._lines: list[tuple[str, str, bool, str]] = []
        for item in workspace.items:
            for source, is_title in ((item.titles, True), (item.texts, False)):
                for locale, text in source.items():
                    stems = " ".join(word.stem for word in words(text, endings(locale)))
                    self._lines.append((item.id, locale, is_title, f" {stems} "))
        self._locales = {locale for _, locale, _, _ in self._lines}

    def find(self, phrase: str, *, title_only: bool = False, apart: bool = True) -> frozenset[str]:
        """Return the ids of the items with a phrase: its words side by side, else, if they may be apart, anywhere."""
        wanted = {locale: [word.stem for word in words(phrase, self._endings(locale))] for locale in self._locales}
        side_by_side = frozenset(
            ident
            for ident, locale, is_title, line in self._lines
            if (is_title or not title_only) and wanted[locale] and f" {' '.join(wanted[locale])} " in line
        )
        if side_by_side or not apart or not any(wanted.values()):
            return side_by_side
        texts: dict[tuple[str, str], str] = {}
        for ident, locale, is_title, line in self._lines:
            if is_title or not title_only:
                texts[ident, locale] = texts.get((ident, locale), "") + line
        return frozenset(
            ident
            for (ident, locale), line in texts.items()
            if wanted[locale] and all(f" {stem} " in line for stem in wanted[locale])
        )

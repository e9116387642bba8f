"""What can be asked of the workspace, as plain data: the meeting point of reading, searching and phrasing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.periods import Period

ContentType = Literal["Article", "Product", "Page"]
State = Literal["Draft", "Published"]
Locale = Literal["en", "it", "de"]
DateField = Literal["published", "updated", "created"]
SortKey = Literal["date", "updated", "created", "price", "title"]
Dimension = Literal["type", "state", "author", "tag", "locale", "category", "month", "year"]


@dataclass(frozen=True)
class Choice:
    """Several values of one kind: all of them must hold, or any one will do."""

    values: tuple[str, ...]
    every: bool = False


@dataclass(frozen=True)
class PriceRange:
    """Prices in euros between two bounds; a bound itself is inside or outside."""

    low: float | None = None
    high: float | None = None
    low_inside: bool = True
    high_inside: bool = True


@dataclass(frozen=True)
class Order:
    """What a list is sorted by."""

    key: SortKey
    descending: bool


@dataclass(frozen=True)
class Query:
    """Which items are meant, in which order, and how many of them. An empty query means all items."""

    types: tuple[ContentType, ...] = ()
    categories: tuple[str, ...] = ()
    state: State | None = None
    period: Period | None = None
    date_field: DateField | None = None
    """Which date the period speaks of; None: a published item's publication, a draft's last change."""
    authors: tuple[str, ...] = ()
    not_authors: tuple[str, ...] = ()
    tags: Choice | None = None
    not_tags: tuple[str, ...] = ()
    locales: Choice | None = None
    not_locales: tuple[str, ...] = ()
    only_locale: Locale | None = None
    words: Choice | None = None
    """Words that must occur in an item's text, in any of its locales."""
    title_words: tuple[str, ...] = ()
    price: PriceRange | None = None
    within: tuple[str, ...] | None = None
    """Ids to stay within: the items of an earlier answer."""
    order: Order | None = None
    limit: int | None = None

    def is_empty(self) -> bool:
        """Whether nothing at all was asked for."""
        return self == Query()

    def narrowing(self) -> frozenset[str]:
        """Return the names of the fields that narrow which items are meant."""
        return frozenset(
            field.name
            for field in fields(self)
            if getattr(self, field.name) != field.default and field.name not in {"order", "limit"}
        )

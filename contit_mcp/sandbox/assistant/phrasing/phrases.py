"""What can be put into words, whichever the language. English and Italian each say it in their own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute, Item
    from contit_mcp.sandbox.assistant.query import Dimension, Locale, Query
    from contit_mcp.sandbox.assistant.reading.vocabulary import Language


class Phrases(ABC):
    """The sentences of one language."""

    language: Language
    examples: tuple[str, ...]
    """Questions that work."""

    # -- parts of sentences
    @abstractmethod
    def subject(self, query: Query, count: int) -> str:
        """Say which items a query means, with their number: "12 published articles from March 2026"."""

    @abstractmethod
    def value(self, dimension: Dimension, value: str) -> str:
        """Say one value of a dimension: a tag, a language, a month."""

    @abstractmethod
    def money(self, amount: float) -> str:
        """Say a price."""

    # -- sentences about many items
    @abstractmethod
    def found(self, query: Query, count: int, *, whole: bool) -> str:
        """Say how many were found, as a heading of their list."""

    @abstractmethod
    def found_none(self, query: Query) -> str:
        """Say that there are none."""

    @abstractmethod
    def continued(self, query: Query, first: int, last: int, count: int) -> str:
        """Say which part of a long list follows."""

    @abstractmethod
    def counted(self, query: Query, count: int, parts: list[tuple[str, int]], dimension: Dimension | None) -> str:
        """Say how many there are, and how they divide."""

    @abstractmethod
    def grouped(self, query: Query, count: int, groups: int, dimension: Dimension) -> str:
        """Say over how many groups they are spread, as a heading of the groups."""

    @abstractmethod
    def extreme(self, query: Query, names: list[str], count: int, dimension: Dimension, *, most: bool) -> str:
        """Say which group is the largest or smallest."""

    @abstractmethod
    def average(self, query: Query, count: int, average: float, low: float, high: float) -> str:
        """Say the average price."""

    @abstractmethod
    def note(self, item: Item, *, year: bool, typed: bool, by: str) -> str:
        """Say the date and state of an item, as a remark behind its title."""

    @abstractmethod
    def drafts_dated(self) -> str:
        """Say by which date drafts were counted."""

    @abstractmethod
    def offer(self, count: int, *, more: bool) -> str:
        """Offer to go on."""

    # -- sentences about one item
    @abstractmethod
    def details(self, item: Item) -> list[tuple[str, str]]:
        """Return an item's properties with their names."""

    @abstractmethod
    def fact(self, item: Item, title: str, attribute: Attribute) -> str:
        """Say one property of an item."""

    @abstractmethod
    def not_in(self, title: str, locale: Locale) -> str:
        """Say that an item has no text in a language."""

    # -- sentences about the conversation
    @abstractmethod
    def remark(self, name: str) -> str:
        """Say one of the fixed sentences, by the name of the action."""

    @abstractmethod
    def no_such_entry(self, count: int) -> str:
        """Say how many entries the last list has."""

    @abstractmethod
    def not_understood(self, parts: tuple[str, ...]) -> str:
        """Say what was not understood."""

    @abstractmethod
    def try_these(self) -> str:
        """Introduce the examples."""

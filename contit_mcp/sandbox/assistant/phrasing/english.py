"""Answers in English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.phrasing import english_subject as en
from contit_mcp.sandbox.assistant.phrasing.english_item import item_details, item_fact
from contit_mcp.sandbox.assistant.phrasing.phrases import Phrases

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute, Item
    from contit_mcp.sandbox.assistant.query import Dimension, Locale, Order, Query
    from contit_mcp.sandbox.assistant.reading.vocabulary import Language

_SUPERLATIVES: Final = {
    ("date", True): "most recent",
    ("date", False): "oldest",
    ("updated", True): "most recently changed",
    ("updated", False): "least recently changed",
    ("created", True): "most recently created",
    ("created", False): "first created",
    ("price", False): "cheapest",
    ("price", True): "most expensive",
    ("title", False): "first",
}
_SORTED: Final = {
    ("date", True): "the most recent first",
    ("date", False): "the oldest first",
    ("updated", True): "the most recently changed first",
    ("updated", False): "the least recently changed first",
    ("created", True): "the most recently created first",
    ("created", False): "the first created first",
    ("price", False): "the cheapest first",
    ("price", True): "the most expensive first",
    ("title", False): "by title",
}
_GROUPS: Final = {
    "type": ("content type", "content types"),
    "state": ("state", "states"),
    "author": ("author", "authors"),
    "tag": ("tag", "tags"),
    "locale": ("language", "languages"),
    "category": ("category", "categories"),
    "month": ("month", "months"),
    "year": ("year", "years"),
}
_REMARKS: Final = {
    "greeting": "Hello! I answer questions about the content of this workspace by looking it up.",
    "thanks": "You are welcome.",
    "help": "I look up articles, products and pages by type, state, date, author, tag, language, price and words.",
    "goodbye": "All right.",
    "which_one": "Which one? Tell me its number or its title.",
    "that_was_all": "That was all; there is nothing more to show.",
    "nothing_before": "I do not know what that refers to: there is no earlier result in this conversation.",
}


class English(Phrases):
    """English."""

    language: Language = "en"
    examples = (
        "List all published articles from March 2026",
        "How many drafts does Anna Weber have?",
        "Which articles about Verona are not available in German?",
        "Show me the three cheapest tents",
        "When was Tech Review published?",
    )

    def subject(self, query: Query, count: int) -> str:
        """Say which items a query means, with their number."""
        return f"{count or 'no'} {en.subject(query, count)}"

    def value(self, dimension: Dimension, value: str) -> str:
        """Say one value of a dimension."""
        return en.value_words(dimension, value)

    def money(self, amount: float) -> str:
        """Say a price."""
        return en.money_words(amount)

    def found(self, query: Query, count: int, *, whole: bool) -> str:
        """Say how many were found, as a heading of their list."""
        order = query.order
        if query.limit is None:
            here = "Here it is" if count == 1 else f"Here they are, {_sorted(order)}"
            if not whole:
                by_title = order is not None and order.key == "title"
                here = (
                    "Here are the first, by title" if by_title else f"Here are {_sorted(order).removesuffix(' first')}"
                )
            return f"I found {self.subject(query, count)}. {here}:"
        what = en.subject(query, count)
        superlative = _SUPERLATIVES[order.key, order.descending] if order else "most recent"
        if count == 1:
            return f"The {superlative} {what}:"
        only = "Only these" if count < query.limit else "The"
        return (
            f"{only} {count} {superlative} {what}:" if only == "The" else f"I found only {self.subject(query, count)}:"
        )

    def found_none(self, query: Query) -> str:
        """Say that there are none."""
        return f"I found {self.subject(query, 0)}."

    def continued(self, query: Query, first: int, last: int, count: int) -> str:
        """Say which part of a long list follows."""
        return f"Numbers {first} to {last} of the {self.subject(query, count)}:"

    def counted(self, query: Query, count: int, parts: list[tuple[str, int]], dimension: Dimension | None) -> str:
        """Say how many there are, and how they divide."""
        sentence = f"There {'is' if count == 1 else 'are'} {self.subject(query, count)}"
        if dimension:
            named = [f"{number} {self._counted_value(dimension, value, number)}" for value, number in parts]
            sentence += f": {en.joined(named, 'and')}"
        return f"{sentence}."

    def _counted_value(self, dimension: Dimension, value: str, number: int) -> str:
        one = number == 1
        match dimension:
            case "type":
                return en.TYPES[value][not one]
            case "category":
                return en.CATEGORIES[value][not one]
            case "state":
                return "published" if value == "Published" else "draft" if one else "drafts"
            case "author":
                return f"by {value}"
            case _:
                return self.value(dimension, value)

    def grouped(self, query: Query, count: int, groups: int, dimension: Dimension) -> str:
        """Say over how many groups they are spread."""
        return f"I found {self.subject(query, count)}, in {groups} {_GROUPS[dimension][groups != 1]}:"

    def extreme(self, query: Query, names: list[str], count: int, dimension: Dimension, *, most: bool) -> str:
        """Say which group is the largest or smallest."""
        word = _GROUPS[dimension][len(names) != 1]
        bold = en.joined([f"**{name}**" for name in names], "and")
        each = " each" if len(names) > 1 else ""
        return f"The {word} with the {'most' if most else 'fewest'}: {bold}, with {self.subject(query, count)}{each}."

    def average(self, query: Query, count: int, average: float, low: float, high: float) -> str:
        """Say the average price."""
        range_ = f", from {en.money_words(low)} to {en.money_words(high)}" if count > 1 else ""
        return f"The average price of {self.subject(query, count)} is **{en.money_words(average)}**{range_}."

    def note(self, item: Item, *, year: bool, typed: bool, by: str) -> str:
        """Say the date and state of an item."""
        parts = [en.TYPES[item.type][0]] if typed else []
        if item.state == "Draft":
            parts.append("draft")
        when = {"updated": item.updated, "created": item.created}.get(by, item.date).date()
        verb = {"updated": "last changed ", "created": "created "}.get(by, "" if item.published else "last changed ")
        return ", ".join([*parts, verb + en.day_words(when, year=year)])

    def drafts_dated(self) -> str:
        """Say by which date drafts were counted."""
        return "Drafts are dated by their last change."

    def offer(self, count: int, *, more: bool) -> str:
        """Offer to go on."""
        if more:
            return "Say “more” for the next ones, or “all” for the whole list."
        return f"Would you like me to show more details about {'it' if count == 1 else 'any of these'}?"

    def details(self, item: Item) -> list[tuple[str, str]]:
        """Return an item's properties with their names."""
        return item_details(item)

    def fact(self, item: Item, title: str, attribute: Attribute) -> str:
        """Say one property of an item."""
        return item_fact(item, f"**{title}**", attribute)

    def not_in(self, title: str, locale: Locale) -> str:
        """Say that an item has no text in a language."""
        return f"**{title}** is not available in {en.LANGUAGES[locale]}."

    def remark(self, name: str) -> str:
        """Say one of the fixed sentences."""
        return _REMARKS[name]

    def no_such_entry(self, count: int) -> str:
        """Say how many entries the last list has."""
        return f"The last list has only {count} {'entry' if count == 1 else 'entries'}."

    def not_understood(self, parts: tuple[str, ...]) -> str:
        """Say what was not understood."""
        if not parts:
            return "I did not understand that question. I am no language model: I look things up."
        return (
            f"I did not understand {en.joined([f'“{part}”' for part in parts], 'and')}, so I do not answer by guessing."
        )

    def try_these(self) -> str:
        """Introduce the examples."""
        return "Questions that work, for example:"


def _sorted(order: Order | None) -> str:
    return _SORTED[order.key, order.descending] if order else "the most recent first"

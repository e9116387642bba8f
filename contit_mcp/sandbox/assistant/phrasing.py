"""Puts what was found into words, in the manner of the vendor's example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contit_mcp.sandbox.assistant.items import Item
    from contit_mcp.sandbox.assistant.query import Query

_SHOWN = 3
_NAMES: Final = {"en": "English", "it": "Italian", "de": "German"}

NOT_UNDERSTOOD: Final = """\
I did not understand that question; I am a small program that looks things up, no language model. These work:

- List all published articles from March 2026
- How many drafts are there?
- Show the newest three products
- Which articles by Giulia Ferrari are tagged events?

In the same conversation then: "Show me the second one", "Only drafts", "And in Italian?\""""

NOTHING_TO_SHOW: Final = "There is no such item in the answer before. Ask for a list first."


def phrase_list(query: Query, items: Sequence[Item]) -> str:
    """A list, cut where it is long."""
    if not items:
        return f"I found no {_subject(query, 2)}."
    shown = items if query.limit else items[:_SHOWN]
    lines = "\n".join(f"{number}. **{_title(item)}** ({_date(item)})" for number, item in enumerate(shown, 1))
    lead = " Here are the most recent:" if len(shown) < len(items) else ""
    return (
        f"I found {len(items)} {_subject(query, len(items))}.{lead}\n\n{lines}\n\n"
        "Would you like me to show more details about any of these?"
    )


def phrase_count(query: Query, items: Sequence[Item]) -> str:
    """A number."""
    verb = "is" if len(items) == 1 else "are"
    return f"There {verb} {len(items)} {_subject(query, len(items))}."


def phrase_item(item: Item) -> str:
    """All there is about one item."""
    facts = [
        ("Type", item.type),
        ("State", item.state),
        ("Published" if item.published else "Last changed", f"{item.date:%B} {item.date.day}, {item.date.year}"),
        ("Author", item.author),
        ("Tags", ", ".join(item.tags)),
        ("Languages", ", ".join(_NAMES[locale] for locale in item.translations)),
    ]
    if item.price is not None:
        facts.append(("Price", f"{item.price:.2f} EUR"))
    lines = "\n".join(f"- {name}: {value}" for name, value in facts if value)
    return f"**{_title(item)}**\n\n{lines}\n\n{item.text.body}"


def _title(item: Item) -> str:
    return item.text.title


def _date(item: Item) -> str:
    return f"{item.date:%B} {item.date.day}" + ("" if item.published else ", draft")


def _subject(query: Query, number: int) -> str:
    nouns = [f"{kind.lower()}s" if number != 1 else kind.lower() for kind in query.types]
    words = [query.state.lower()] if query.state else []
    words.append(" or ".join(nouns) or ("item" if number == 1 else "items"))
    if query.authors:
        words.append(f"by {' or '.join(query.authors)}")
    if query.tag:
        words.append(f"tagged {query.tag}")
    if query.locale:
        words.append(f"in {_NAMES[query.locale]}")
    if query.period:
        words.append(f"from {query.period.start:{'%B %Y' if query.period.is_one_month else '%Y'}}")
    return " ".join(words)

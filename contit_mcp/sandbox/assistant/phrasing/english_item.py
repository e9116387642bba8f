"""Says in English what there is to say about one item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contit_mcp.sandbox.assistant.phrasing import english_subject as en
from contit_mcp.sandbox.assistant.workspace import load_workspace

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute, Item


def item_details(item: Item) -> list[tuple[str, str]]:
    """Return an item's properties with their names."""
    tags = ", ".join(en.value_words("tag", tag) for tag in item.tags)
    state = f"Published on {en.day_words(item.published.date())}" if item.published else "Draft"
    rows = [("Type", item.type), ("State", state), ("Author", item.author), ("Tags", tags)]
    if item.category and item.price is not None:
        rows += [("Category", en.value_words("category", item.category)), ("Price", en.money_words(item.price))]
    return [
        *rows,
        ("Languages", ", ".join(en.LANGUAGES[locale] for locale in item.translations)),
        ("Created", en.day_words(item.created.date())),
        ("Last changed", en.day_words(item.updated.date())),
        ("ID", f"`{item.id}`"),
    ]


def item_fact(item: Item, name: str, attribute: Attribute) -> str:
    """Say one property of an item."""
    match attribute:
        case "author":
            return f"{name} was written by {item.author}."
        case "date" | "state" if item.published:
            return f"{name} was published on {en.day_words(item.published.date())}."
        case "date" | "state":
            changed = en.day_words(item.updated.date())
            return f"{name} is a draft and has not been published; it was last changed on {changed}."
        case "updated":
            return f"{name} was last changed on {en.day_words(item.updated.date())}."
        case "created":
            return f"{name} was created on {en.day_words(item.created.date())}."
        case "tags":
            tags = [f"“{en.value_words('tag', tag)}”" for tag in item.tags]
            return f"{name} is tagged {en.joined(tags, 'and')}."
        case "locales":
            return f"{name} is available in {en.joined([en.LANGUAGES[loc] for loc in item.translations], 'and')}."
        case "price" if item.price is not None:
            return f"The price of {name} is {en.money_words(item.price)}."
        case "price":
            return f"{name} is {_a(item)} and has no price."
        case "category" if item.category:
            return f"{name} is in the category “{load_workspace().categories[item.category]['en']}”."
        case "category":
            return f"{name} is {_a(item)} and has no category."
        case "id":
            return f"The id of {name} is `{item.id}`."
        case _:
            return f"{name} is {_a(item)}."


def _a(item: Item) -> str:
    return f"{'an' if item.type == 'Article' else 'a'} {en.TYPES[item.type][0]}"

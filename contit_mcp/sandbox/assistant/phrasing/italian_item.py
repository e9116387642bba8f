"""Says in Italian what there is to say about one item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contit_mcp.sandbox.assistant.phrasing import italian_subject as it
from contit_mcp.sandbox.assistant.phrasing.english_subject import joined
from contit_mcp.sandbox.assistant.workspace import load_workspace

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute, Item


def item_details(item: Item) -> list[tuple[str, str]]:
    """Return an item's properties with their names."""
    tags = ", ".join(it.value_words("tag", tag) for tag in item.tags)
    state = f"pubblicato {it.the_day(item.published.date())}" if item.published else "bozza"
    rows = [("Tipo", it.TYPES[item.type][0]), ("Stato", state), ("Autore", item.author), ("Tag", tags)]
    if item.category and item.price is not None:
        rows += [("Categoria", it.value_words("category", item.category)), ("Prezzo", it.money_words(item.price))]
    return [
        *rows,
        ("Lingue", ", ".join(it.LANGUAGES[locale] for locale in item.translations)),
        ("Creazione", it.day_words(item.created.date())),
        ("Ultima modifica", it.day_words(item.updated.date())),
        ("ID", f"`{item.id}`"),
    ]


def item_fact(item: Item, name: str, attribute: Attribute) -> str:
    """Say one property of an item."""
    match attribute:
        case "author":
            return f"Autore di {name}: {item.author}."
        case "date" | "state" if item.published:
            return f"{name}: pubblicazione {it.the_day(item.published.date())}."
        case "date" | "state":
            day = it.the_day(item.updated.date())
            return f"{name} è una bozza e non è ancora online; ultima modifica {day}."
        case "updated":
            return f"{name}: ultima modifica {it.the_day(item.updated.date())}."
        case "created":
            return f"{name}: creazione {it.the_day(item.created.date())}."
        case "tags":
            tags = [f"«{it.value_words('tag', tag)}»" for tag in item.tags]
            return f"Tag di {name}: {joined(tags, 'e')}."
        case "locales":
            return f"{name} esiste in {joined([it.LANGUAGES[loc] for loc in item.translations], 'e')}."
        case "price" if item.price is not None:
            return f"{name} costa {it.money_words(item.price)}."
        case "price":
            return f"{name} è {_a(item)} e non ha un prezzo."
        case "category" if item.category:
            return f"{name} è nella categoria «{load_workspace().categories[item.category]['it']}»."
        case "category":
            return f"{name} è {_a(item)} e non ha una categoria."
        case "id":
            return f"L'id di {name} è `{item.id}`."
        case _:
            return f"{name} è {_a(item)}."


def _a(item: Item) -> str:
    return f"{'una' if item.type == 'Page' else 'un'} {it.TYPES[item.type][0]}"

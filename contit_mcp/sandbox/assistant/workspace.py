"""Loads the sample workspace from its data files into an SQLite database in memory, with full-text search."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, cast

from contit_mcp.sandbox.assistant.items import Item, Translation
from contit_mcp.sandbox.assistant.query import ContentType, Locale
from contit_mcp.sandbox.assistant.stems import stems_of, words_of

LOCALES: Final[tuple[Locale, ...]] = ("en", "it", "de")
TYPES: Final[tuple[ContentType, ...]] = ("Article", "Product", "Page")

_FILES: Final = ("articles.json", "products.json", "pages.json")
_SCHEMA: Final = """
CREATE TABLE items (
    id TEXT PRIMARY KEY, type TEXT, state TEXT, author TEXT, category TEXT, price REAL,
    created TEXT, updated TEXT, published TEXT, date TEXT, sort_title TEXT
);
CREATE TABLE tags (item TEXT, tag TEXT);
CREATE TABLE locales (item TEXT, locale TEXT);
CREATE VIRTUAL TABLE texts USING fts5(item UNINDEXED, en, it, de);
CREATE VIRTUAL TABLE titles USING fts5(item UNINDEXED, en, it, de);
"""


@dataclass(frozen=True)
class Workspace:
    """The content of one workspace: its items by id, and the database that finds them."""

    items: dict[str, Item]
    tags: dict[str, dict[Locale, str]]
    categories: dict[str, dict[Locale, str]]
    authors: tuple[str, ...]
    database: sqlite3.Connection


@lru_cache(maxsize=1)
def load_workspace() -> Workspace:
    """Load the sample workspace; later calls return the same one, which nobody changes."""
    data = files("contit_mcp.sandbox") / "data"
    about = json.loads((data / "workspace.json").read_text("utf-8"))
    items = [_item(raw) for name in _FILES for raw in json.loads((data / name).read_text("utf-8"))]
    return Workspace(
        items={item.id: item for item in items},
        tags=about["tags"],
        categories=about["categories"],
        authors=tuple(about["authors"]),
        database=_database(items),
    )


def _item(raw: dict[str, Any]) -> Item:
    fields = raw["fields"]
    titles, bodies = fields.get("title") or fields["name"], fields.get("body") or fields["description"]
    published = fields["publishDate"]
    return Item(
        id=raw["id"],
        type=raw["contentType"],
        state=raw["state"],
        author=raw["author"],
        tags=tuple(raw["tags"]),
        created=dt.datetime.fromisoformat(raw["createdAt"]),
        updated=dt.datetime.fromisoformat(raw["updatedAt"]),
        published=dt.datetime.fromisoformat(published) if published else None,
        translations={locale: Translation(titles[locale], bodies[locale]) for locale in LOCALES if locale in titles},
        category=fields.get("category"),
        price=cast("float | None", fields.get("price")),
    )


def _database(items: list[Item]) -> sqlite3.Connection:
    # Made in one thread and used in another when a test or a server starts elsewhere; it is only ever read.
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.executescript(_SCHEMA)
    database.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [_row(item) for item in items])
    database.executemany("INSERT INTO tags VALUES (?, ?)", [(i.id, tag) for i in items for tag in i.tags])
    database.executemany("INSERT INTO locales VALUES (?, ?)", [(i.id, loc) for i in items for loc in i.translations])
    for item in items:
        titles = [stems_of(t.title, loc) if (t := item.translations.get(loc)) else "" for loc in LOCALES]
        texts = [stems_of(f"{t.title} {t.body}", loc) if (t := item.translations.get(loc)) else "" for loc in LOCALES]
        database.execute("INSERT INTO titles VALUES (?, ?, ?, ?)", (item.id, *titles))
        database.execute("INSERT INTO texts VALUES (?, ?, ?, ?)", (item.id, *texts))
    return database


def _row(item: Item) -> tuple[str | float | None, ...]:
    published = item.published.isoformat() if item.published else None
    return (
        item.id,
        item.type,
        item.state,
        item.author,
        item.category,
        item.price,
        item.created.isoformat(),
        item.updated.isoformat(),
        published,
        item.date.isoformat(),
        " ".join(words_of(item.in_locale("en").title)),
    )

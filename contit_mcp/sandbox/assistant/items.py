"""A content item as the workspace holds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from contit_mcp.sandbox.assistant.query import ContentType, Locale, State


@dataclass(frozen=True)
class Translation:
    """An item's text in one locale."""

    title: str
    body: str


@dataclass(frozen=True)
class Item:
    """One content item with all its translations."""

    id: str
    type: ContentType
    state: State
    author: str
    tags: tuple[str, ...]
    created: dt.datetime
    updated: dt.datetime
    published: dt.datetime | None
    translations: Mapping[Locale, Translation]
    """By locale, in the workspace's order; never empty."""
    category: str | None = None
    price: float | None = None

    def in_locale(self, *preferred: Locale) -> Translation:
        """Return the text in the first of these locales it exists in, else in the workspace's first."""
        for locale in preferred:
            if locale in self.translations:
                return self.translations[locale]
        return next(iter(self.translations.values()))

    @property
    def date(self) -> dt.datetime:
        """When it was published, or, for a draft, last changed."""
        return self.published or self.updated


Attribute = Literal[
    "type", "state", "author", "date", "updated", "created", "tags", "locales", "category", "price", "body", "id"
]
"""What can be asked about one item."""

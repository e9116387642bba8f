"""A content item as the workspace holds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

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

    @property
    def text(self) -> Translation:
        """Return its text in the workspace's first locale that it has."""
        return next(iter(self.translations.values()))

    @property
    def date(self) -> dt.datetime:
        """When it was published, or, for a draft, last changed."""
        return self.published or self.updated

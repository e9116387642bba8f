"""What can be asked of the workspace, as plain data: the meeting point of reading, searching and phrasing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.periods import Period

ContentType = Literal["Article", "Product", "Page"]
State = Literal["Draft", "Published"]
Locale = Literal["en", "it", "de"]


@dataclass(frozen=True)
class Query:
    """Which items are meant and how many of them, the newest first. An empty query means all items."""

    types: tuple[ContentType, ...] = ()
    state: State | None = None
    period: Period | None = None
    """When they were published; a draft, when it was last changed."""
    authors: tuple[str, ...] = ()
    tag: str | None = None
    locale: Locale | None = None
    limit: int | None = None

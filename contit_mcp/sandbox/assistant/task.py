"""What is to be answered, once a question has been seen in its conversation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from contit_mcp.sandbox.assistant.query import Query

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute
    from contit_mcp.sandbox.assistant.query import Dimension, Locale
    from contit_mcp.sandbox.assistant.reading.question import Wanted
    from contit_mcp.sandbox.assistant.reading.vocabulary import Language

Action = Literal[
    "list", "count", "average", "groups", "details", "facts", "page",
    "greeting", "thanks", "help", "goodbye", "which_one", "that_was_all",
    "nothing_before", "no_such_entry", "not_understood",
]  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One thing to answer."""

    action: Action
    query: Query = field(default_factory=Query)
    ids: tuple[str, ...] = ()
    """The items of details and facts."""
    attributes: frozenset[Attribute] = frozenset()
    dimension: Dimension | None = None
    extreme: Literal["most", "fewest"] | None = None
    locale: Locale | None = None
    """The language to show texts in, where the question names one."""
    first: int = 0
    """Where a page begins, in the results."""
    whole: bool = False
    """Whether everything is to be listed, however long it is."""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a follow-up can lean on."""

    language: Language = "en"
    query: Query | None = None
    """What was listed, counted or grouped last."""
    wanted: Wanted = "list"
    ids: tuple[str, ...] = ()
    """All results of that, in their order."""
    shown: int = 0
    """How many of them have been listed."""
    focus: str | None = None
    """The one item that was talked about last."""

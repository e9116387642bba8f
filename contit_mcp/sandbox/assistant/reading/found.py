"""What has been found in a question so far; filled in by one recogniser after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from contit_mcp.sandbox.assistant.query import Query

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute
    from contit_mcp.sandbox.assistant.query import Dimension
    from contit_mcp.sandbox.assistant.reading.question import Reference, Wanted


@dataclass
class Found:
    """The parts of a question, as they are found."""

    fields: dict[str, Any] = field(default_factory=dict)
    """Fields of the query."""
    wanted: Wanted = "list"
    wanted_said: bool = False
    named: tuple[str, ...] = ()
    asked: set[Attribute] = field(default_factory=set)
    dimension: Dimension | None = None
    extreme: Literal["most", "fewest"] | None = None
    picks: tuple[int, ...] = ()
    focus: bool = False
    focus_at: int = 0
    """Where "it" stands in the question."""
    the_one: bool = False
    refers: Reference | None = None
    elliptic: bool = False
    freed: set[str] = field(default_factory=set)
    has_noun: bool = False
    details: bool = False
    mentions: dict[str, int] = field(default_factory=dict)
    """How often each kind of thing was named in separate places."""
    not_published: str = ""
    """How the question says that an item is not published, if it does."""
    problems: list[str] = field(default_factory=list)
    """Parts that were recognised, but that the assistant cannot answer truthfully."""

    def put(self, name: str, value: object) -> None:
        """Set a field of the query, unless there is nothing to set."""
        if value is not None and value != ():
            self.fields[name] = value

    def speaks_of_items(self) -> bool:
        """Whether certain items are meant, by title, by number or as "it"."""
        return bool(self.named or self.focus or self.picks)

    def several_questions(self) -> bool:
        """Whether two kinds of things are each named in two places, as in "articles by Anna and products by Marco"."""
        return sum(places > 1 for places in self.mentions.values()) > 1

    def narrowed(self) -> bool:
        """Whether anything is known so far that narrows which items are meant."""
        return bool(self.fields)

    def query(self) -> Query:
        """Return the query as far as it is known."""
        return Query(**self.fields)

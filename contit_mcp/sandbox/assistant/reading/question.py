"""What a question says, as far as it was understood on its own, before it is seen in its conversation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from contit_mcp.sandbox.assistant.query import Query

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute
    from contit_mcp.sandbox.assistant.query import Dimension
    from contit_mcp.sandbox.assistant.reading.vocabulary import Language

Talk = Literal["greeting", "thanks", "help", "yes", "no", "more", "all"]
Wanted = Literal["list", "count", "average"]
Reference = Literal["them", "only", "and"]


@dataclass(frozen=True)
class Question:
    """One question, read."""

    language: Language
    talk: Talk | None = None
    """Set if the whole question is a turn of conversation rather than about content."""
    query: Query = field(default_factory=Query)
    wanted: Wanted = "list"
    wanted_said: bool = False
    """Whether the question itself says so (show, how many), or it is only the default."""
    named: tuple[str, ...] = ()
    """Ids of the items that the question names by their titles."""
    asked: frozenset[Attribute] = frozenset()
    dimension: Dimension | None = None
    """What to count by, as in "per author"."""
    extreme: Literal["most", "fewest"] | None = None
    picks: tuple[int, ...] = ()
    """Numbers of entries in the last list, from 1; 0 is its last."""
    focus: bool = False
    """Whether it speaks of one item talked about before ("it")."""
    the_one: bool = False
    """Whether it names one item by nothing but its type ("the article")."""
    refers: Reference | None = None
    """How it leans on the question before: within its results, narrowing it, or with something exchanged."""
    elliptic: bool = False
    """Whether it leaves out what it is about, as in "how many are in German?"."""
    freed: frozenset[str] = frozenset()
    """Fields of the query that it says do not matter: "drafts included", "of any type"."""
    has_noun: bool = False
    terse: bool = False
    """Whether it has so few words that it can only lean on what was said before."""
    details: bool = False
    unknown: tuple[str, ...] = ()
    """What was not understood, as it was written. Nothing may be answered if this is not empty."""

    def is_empty(self) -> bool:
        """Whether it holds nothing that could be answered."""
        return self == Question(self.language, refers=self.refers, elliptic=self.elliptic, terse=self.terse)

"""What has to be known of a language to read questions in it. Each language fills this form in; nothing here reads.

Patterns are matched against a question in lower case, without accents, and only at whole words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from contit_mcp.sandbox.assistant.reading.patterns import phrase

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from contit_mcp.sandbox.assistant.items import Attribute
    from contit_mcp.sandbox.assistant.query import Dimension, SortKey
    from contit_mcp.sandbox.assistant.reading.date_words import DateWords
    from contit_mcp.sandbox.assistant.reading.names import Names

Language = Literal["en", "it"]


@dataclass(frozen=True)
class ListPhrases:
    """How a language says that items have, or have not, some values of a kind.

    In the patterns, LIST stands for one of the kind's names, or several of them joined.
    """

    names: Names
    have: re.Pattern[str]
    have_not: re.Pattern[str]


def list_phrases(names: Names, join: str, *, have: tuple[str, ...], have_not: tuple[str, ...]) -> ListPhrases:
    """Put the names, and what joins several of them, in the place of LIST."""
    several = rf"{names.any}(?!\w)(?:(?:{join}){names.any}(?!\w))*"
    return ListPhrases(names, *(phrase(*(p.replace("LIST", several) for p in ps)) for ps in (have, have_not)))


@dataclass(frozen=True)
class ItemWords:
    """Which items are meant, by what they have."""

    either: re.Pattern[str]
    """The word that makes a list one of alternatives."""
    both: re.Pattern[str]
    """Asks for two values at once."""
    authors: ListPhrases
    tags: ListPhrases
    locales: ListPhrases
    only_locale: re.Pattern[str]
    every_locale: re.Pattern[str]
    types: Names
    categories: Names
    type_join: str
    """What stands between several types or categories."""
    except_types: str
    """What goes before types that are not meant."""
    all_are: re.Pattern[str]
    """Asks whether all of them are in some state."""
    available: re.Pattern[str]
    """Shows that a language is asked for, not wanted for the answer."""
    items: re.Pattern[str]
    """Words for items of any type."""
    several: re.Pattern[str]
    """Words that show that several items are meant, not one."""
    any_state: re.Pattern[str]
    any_type: re.Pattern[str]
    published: re.Pattern[str]
    draft: re.Pattern[str]

    @cached_property
    def nouns(self) -> tuple[re.Pattern[str], ...]:
        """Everything that items are called."""
        return phrase(self.types.any, self.categories.any), self.items, self.draft


@dataclass(frozen=True)
class FilterWords:
    """Which items are meant, by their dates, prices and texts."""

    updated: re.Pattern[str]
    not_updated: re.Pattern[str]
    created: re.Pattern[str]
    price: re.Pattern[str]
    """Shows that a bound is a price."""
    bounds: tuple[tuple[re.Pattern[str], bool], ...]
    """How numbers are bounded, in the groups low and high; and whether the bounds are inside."""
    about: re.Pattern[str]
    """Introduces what a text is about: everything after it, in the group topic."""
    topic_end: re.Pattern[str]
    in_title: tuple[re.Pattern[str], ...]
    """Asks for the words of a title, in the group words."""
    search: re.Pattern[str]
    """The words right after these are to be searched for, and may be found nowhere."""
    seek: re.Pattern[str]
    """The words right after these may be searched for."""
    topic_first: bool
    """Whether a topic stands before its noun ("chestnut articles") or after it."""
    unsearchable: re.Pattern[str]
    """With one of these left over a question means something else, so it is not understood."""
    qualities: re.Pattern[str]
    """Forms of words that say what has been done to an item ("reviewed"), and are never taken for its topic."""


@dataclass(frozen=True)
class AskWords:
    """What is to be said about the items."""

    orders: tuple[tuple[re.Pattern[str], SortKey, bool], ...]
    """Superlatives: sort key, whether it goes down; the groups n and n2 hold how many are wanted."""
    sorted_by: tuple[tuple[re.Pattern[str], SortKey, bool], ...]
    one_of_many: re.Pattern[str]
    """Shows that a superlative means one, though several items are spoken of: "which of the tents is the cheapest?"."""
    of_the_one: re.Pattern[str]
    """Asks whether something holds of the one that a superlative means: "is the cheapest tent a draft?"."""
    number_of_items: re.Pattern[str]
    numbers: Mapping[str, int]
    count: re.Pattern[str]
    average: re.Pattern[str]
    most: re.Pattern[str]
    fewest: re.Pattern[str]
    most_of_one: re.Pattern[str]
    """Asks which item has the most of a property, which is not counted."""
    groups: tuple[tuple[Dimension, re.Pattern[str]], ...]
    attributes: tuple[tuple[Attribute, re.Pattern[str]], ...]
    details: re.Pattern[str]
    when: re.Pattern[str]
    """Asks for a date, whichever."""


@dataclass(frozen=True)
class TalkWords:
    """What belongs to the conversation rather than to the content."""

    greeting: re.Pattern[str]
    thanks: re.Pattern[str]
    help: re.Pattern[str]
    yes: re.Pattern[str]
    no: re.Pattern[str]
    more: re.Pattern[str]
    all_of_them: re.Pattern[str]
    command: re.Pattern[str]
    """Begins an order to change something, which is never obeyed nor taken for a question."""
    noise: re.Pattern[str]
    """Crossed out before anything else."""
    harmless: re.Pattern[str]
    """Parts that may be left over without a loss because of the words around them."""
    fillers: frozenset[str]
    """Words that may be left over without a loss."""
    ordinals: Names
    pick: re.Pattern[str]
    """Names entries of the last list, in the groups ordinals and numbers."""
    focus: re.Pattern[str]
    the_one: re.Pattern[str]
    """Names one item by nothing but its type: "the article"."""
    them: re.Pattern[str]
    elliptic: re.Pattern[str]
    """Begins a question that leaves out what it is about: "how many are in German?"."""
    what_about: re.Pattern[str]
    only: re.Pattern[str]
    titled_page: str
    """How an item whose title is one word is named; TITLE stands for the title."""


@dataclass(frozen=True)
class Vocabulary:
    """One language."""

    language: Language
    dates: DateWords
    items: ItemWords
    filters: FilterWords
    asks: AskWords
    talk: TalkWords

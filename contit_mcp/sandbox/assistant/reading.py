"""Reads a question in English into a query. What is not understood word by word is not answered at all."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from contit_mcp.sandbox.assistant.periods import whole_months
from contit_mcp.sandbox.assistant.query import ContentType, Locale, Query, State

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.workspace import Workspace

_TYPES: Final[dict[str, ContentType]] = {"article": "Article", "product": "Product", "page": "Page"}
_STATES: Final[dict[str, State]] = {"drafts": "Draft", "draft": "Draft", "published": "Published"}
_LOCALES: Final[dict[str, Locale]] = {"english": "en", "italian": "it", "german": "de"}
_MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_NUMBERS: Final = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1
    )
}
_ORDINALS: Final = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
_FILLERS: Final = frozenset(
    """
    list show find give tell me us all any the a an of what which are is there do does we you have exist please
    items item content from in by about tagged with written only just and ones one now that were yet
    """.split()
)


@dataclass(frozen=True)
class Question:
    """What is wanted: a list or a number of items, or one item of the answer before."""

    wish: Literal["list", "count", "one"]
    query: Query
    position: int = 0
    """For "one": which of the items listed before, from 0; -1 is the last."""


def read_question(prompt: str, workspace: Workspace, previous: Query | None) -> Question | None:
    """Return what the prompt asks for, or None when any word of it is not understood.

    `previous` is the query of the answer before: "only drafts" and "and in Italian?" narrow it.
    """
    text = " ".join(re.findall(r"[\w'-]+", prompt.lower()))
    if which := re.fullmatch(rf"(?:show|tell|give) me (?:more about )?the ({'|'.join(_ORDINALS)})(?: one)?", text):
        return Question("one", previous, _ORDINALS[which[1]]) if previous is not None else None
    narrows = previous is not None and re.match(r"(only|just|and)\b", text)
    rest, query = _filters(text, previous if narrows and previous is not None else Query(), workspace)
    rest, counting = _take(rest, r"how many|count|number of")
    if set(rest.split()) - _FILLERS or query == Query():
        return None
    return Question("count" if counting else "list", query)


def _filters(text: str, query: Query, workspace: Workspace) -> tuple[str, Query]:
    """Take every filter that is understood out of the text and into the query."""
    text, found = _take(text, rf"(?:the )?(?:newest|latest|most recent)(?: ({'|'.join(_NUMBERS)}|\d{{1,2}}))?")
    if found:
        number = (found[1] or "one").strip()
        query = replace(query, limit=_NUMBERS.get(number) or int(number))
    text, found = _take(text, rf"(?:(?:from|in) )?({'|'.join(_MONTHS)}) (20\d\d)")
    if found:
        month, year = _MONTHS[found[1]], int(found[2])
        query = replace(query, period=whole_months(year, month, month))
    text, found = _take(text, r"(?:from|in) (20\d\d)")
    if found:
        query = replace(query, period=whole_months(int(found[1]), 1, 12))
    for author in workspace.authors:
        text, found = _take(text, rf"(?:written )?by (?:{author.lower()}|{author.split()[-1].lower()})")
        query = replace(query, authors=(*query.authors, author)) if found else query
    for tag, names in workspace.tags.items():
        text, found = _take(text, rf"(?:tagged|about) (?:with )?{re.escape(names['en'].lower())}")
        query = replace(query, tag=tag) if found else query
    for word, locale in _LOCALES.items():
        text, found = _take(text, rf"in {word}")
        query = replace(query, locale=locale) if found else query
    for word, kind in _TYPES.items():
        text, found = _take(text, rf"{word}s?")
        query = replace(query, types=(*query.types, kind)) if found else query
    for word, state in _STATES.items():
        text, found = _take(text, word)
        query = replace(query, state=state) if found else query
    return text, query


def _take(text: str, pattern: str) -> tuple[str, re.Match[str] | None]:
    """Take the first place that fits out of the text."""
    found = re.search(rf"\b(?:{pattern})\b", text)
    return (f"{text[: found.start()]} {text[found.end() :]}" if found else text), found

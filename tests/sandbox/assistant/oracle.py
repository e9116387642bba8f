"""The truth about the sample workspace, read from its data files without any of the assistant's code."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

from contit_mcp.sandbox.answer import Assistant, Turn
from contit_mcp.sandbox.content import load_workspace

TODAY = date(2026, 3, 20)
ASSISTANT = Assistant(load_workspace(), TODAY)
_ENTRY = re.compile(r"^\d+\. \*\*(.+?)\*\*", re.MULTILINE)
_NUMBER = re.compile(
    r"(?:found|are|is|only|trovato|sono|C.è|solo|non ho trovato|risultato) (?:[(])?(\d+|no|nessun[oa]?)\b"
)


@dataclass(frozen=True)
class Truth:
    """One item as its file has it."""

    draft: bool
    author: str
    tags: frozenset[str]
    category: str | None
    price: float | None
    date: str  # of the publication in ISO form, for a draft of the last change
    titles: dict[str, str]
    text: str  # in all languages, in lower case

    article: bool
    product: bool
    page: bool


def _truth(raw: dict[str, Any]) -> Truth:
    fields = raw["fields"]
    titles = fields.get("title") or fields["name"]
    bodies = fields.get("body") or fields["description"]
    return Truth(
        article=raw["contentType"] == "Article",
        product=raw["contentType"] == "Product",
        page=raw["contentType"] == "Page",
        draft=raw["state"] == "Draft",
        author=raw["author"].split()[0],
        tags=frozenset(raw["tags"]),
        category=fields.get("category"),
        price=fields.get("price"),
        date=fields["publishDate"] or raw["updatedAt"],
        titles=titles,
        text=" ".join([*titles.values(), *bodies.values()]).lower(),
    )


TRUTHS = [
    _truth(raw)
    for name in ("articles", "products", "pages")
    for raw in json.loads((files("contit_mcp.sandbox") / "data" / f"{name}.json").read_text("utf-8"))
]

Holds = Callable[[Truth], bool]


def converse(*prompts: str) -> str:
    turn: Turn | None = None
    for prompt in prompts:
        turn = ASSISTANT.reply(prompt, turn)
    assert turn
    return turn.answer


def understood(answer: str) -> bool:
    return "did not understand" not in answer and "Non ho capito" not in answer


def listed(answer: str) -> list[str]:
    return _ENTRY.findall(answer)


def assert_found(question: str, holds: Holds, everything: str = "show all") -> None:
    """Check number, items and order of what a question finds: the most recent first."""
    expected = sorted((item for item in TRUTHS if holds(item)), key=lambda item: item.date, reverse=True)
    answer = converse(question)
    number = _NUMBER.search(answer)
    assert understood(answer), (question, answer)
    assert number, answer
    assert (int(number[1]) if number[1].isdigit() else 0) == len(expected), (question, answer)
    if expected:
        titles = listed(converse(question, everything))
        assert len(titles) == len(expected)
        assert all(title in item.titles.values() for title, item in zip(titles, expected, strict=True)), question

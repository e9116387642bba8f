"""The truth about the sample workspace, read from its data files without any of the assistant's code."""

import json
import re
from collections.abc import Callable
from datetime import date
from importlib.resources import files
from typing import Any

from contit_mcp.sandbox.answer import Assistant, Turn
from contit_mcp.sandbox.content import load_workspace

TODAY = date(2026, 3, 20)
ASSISTANT = Assistant(load_workspace(), TODAY)
_ENTRY = re.compile(r"^\d+\. \*\*(.+?)\*\*", re.MULTILINE)
_NUMBER = re.compile(r"(?:found|are|is|only|trovato|sono|C.è|solo|non ho trovato|risultato) \(?(\d+|no|nessun[oa]?)\b")


class Truth:
    """One item as its file has it."""

    def __init__(self, raw: dict[str, Any]) -> None:
        fields = raw["fields"]
        self.article, self.product, self.page = (raw["contentType"] == kind for kind in ("Article", "Product", "Page"))
        self.draft = raw["state"] == "Draft"
        self.author = raw["author"].split()[0]
        self.tags = set(raw["tags"])
        self.category = fields.get("category")
        self.price = fields.get("price")
        self.date = fields["publishDate"] or raw["updatedAt"]  # ISO; of a draft the last change
        self.titles: dict[str, str] = fields.get("title") or fields["name"]
        bodies: dict[str, str] = fields.get("body") or fields["description"]
        self.text = " ".join([*self.titles.values(), *bodies.values()]).lower()  # in all languages


TRUTHS = [
    Truth(raw)
    for name in ("articles", "products", "pages")
    for raw in json.loads((files("contit_mcp.sandbox") / "data" / f"{name}.json").read_text("utf-8"))
]

Holds = Callable[[Truth], bool]


def converse(*prompts: str) -> str:
    """Return the answer to the last of these prompts of one conversation."""
    turn: Turn | None = None
    for prompt in prompts:
        turn = ASSISTANT.reply(prompt, turn)
    assert turn
    return turn.answer


def understood(answer: str) -> bool:
    return "did not understand" not in answer and "Non ho capito" not in answer


def listed(answer: str) -> list[str]:
    """Return the titles of the items that an answer lists."""
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

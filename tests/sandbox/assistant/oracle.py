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

    type: str
    state: str
    author: str
    tags: frozenset[str]
    category: str | None
    price: float | None
    created: str
    updated: str
    published: str
    """An ISO date; empty for drafts."""
    titles: dict[str, str]
    bodies: dict[str, str]

    @property
    def date(self) -> str:
        """By which it is dated: its publication, a draft by its last change."""
        return self.published or self.updated

    @property
    def locales(self) -> frozenset[str]:
        """The languages it exists in."""
        return frozenset(self.titles)

    @property
    def text(self) -> str:
        """All it says, in all languages, in lower case."""
        return " ".join([*self.titles.values(), *self.bodies.values()]).lower()

    @property
    def draft(self) -> bool:
        """Whether it is a draft."""
        return self.state == "Draft"

    @property
    def article(self) -> bool:
        """Whether it is an article."""
        return self.type == "Article"

    @property
    def product(self) -> bool:
        """Whether it is a product."""
        return self.type == "Product"

    @property
    def page(self) -> bool:
        """Whether it is a page."""
        return self.type == "Page"

    def title(self, language: str) -> str:
        """Its title as a reader of that language is shown it."""
        return self.titles.get(language) or self.titles.get("en") or next(iter(self.titles.values()))


def _truth(raw: dict[str, Any]) -> Truth:
    fields = raw["fields"]
    return Truth(
        type=raw["contentType"],
        state=raw["state"],
        author=raw["author"].split()[0],
        tags=frozenset(raw["tags"]),
        category=fields.get("category"),
        price=fields.get("price"),
        created=raw["createdAt"],
        updated=raw["updatedAt"],
        published=fields["publishDate"] or "",
        titles=fields.get("title") or fields["name"],
        bodies=fields.get("body") or fields["description"],
    )


TRUTHS = [
    _truth(raw)
    for name in ("articles", "products", "pages")
    for raw in json.loads((files("contit_mcp.sandbox") / "data" / f"{name}.json").read_text("utf-8"))
]
"""Every item of the workspace."""

Holds = Callable[[Truth], bool]


def those(holds: Holds) -> list[Truth]:
    """The items of which this holds, the most recent first."""
    return sorted((item for item in TRUTHS if holds(item)), key=lambda item: item.date, reverse=True)


def converse(*prompts: str) -> str:
    """The last answer of a conversation."""
    assistant, turn = ASSISTANT, None
    for prompt in prompts:
        turn = assistant.reply(prompt, turn)
    assert isinstance(turn, Turn)
    return turn.answer


def understood(answer: str) -> bool:
    """Whether an answer is one, rather than a refusal."""
    return "did not understand" not in answer and "Non ho capito" not in answer


def listed(answer: str) -> list[str]:
    """The titles of a list, in its order."""
    return _ENTRY.findall(answer)


def number(answer: str) -> int:
    """How many an answer says there are."""
    found = _NUMBER.search(answer)
    assert found, answer
    return int(found[1]) if found[1].isdigit() else 0

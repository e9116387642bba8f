"""The assistant: one prompt in, one answer out, and what the next prompt may lean on."""

from __future__ import annotations

from dataclasses import dataclass

from contit_mcp.sandbox.assistant.phrasing import (
    NOT_UNDERSTOOD,
    NOTHING_TO_SHOW,
    phrase_count,
    phrase_item,
    phrase_list,
)
from contit_mcp.sandbox.assistant.query import Query
from contit_mcp.sandbox.assistant.reading import read_question
from contit_mcp.sandbox.assistant.search import find
from contit_mcp.sandbox.assistant.workspace import load_workspace


@dataclass(frozen=True)
class Turn:
    """One answer, and what a follow-up can refer to."""

    answer: str
    query: Query | None = None
    """What was asked for last."""
    items: tuple[str, ...] = ()
    """The ids of what was found, in the order of the list."""


class Assistant:
    """Answers prompts about the sample workspace. It is no language model: it looks things up, or says it cannot."""

    def __init__(self) -> None:
        """Load the sample workspace."""
        self._workspace = load_workspace()

    def reply(self, prompt: str, previous: Turn | None = None) -> Turn:
        """Answer one prompt in a conversation."""
        before = previous or Turn("")
        question = read_question(prompt, self._workspace, before.query)
        if question is None:
            return Turn(NOT_UNDERSTOOD, before.query, before.items)
        if question.wish == "one":
            if question.position >= len(before.items) or not before.items:
                return Turn(NOTHING_TO_SHOW, before.query, before.items)
            item = self._workspace.items[before.items[question.position]]
            return Turn(phrase_item(item), before.query, before.items)
        found = find(self._workspace, question.query)
        phrase = phrase_count if question.wish == "count" else phrase_list
        return Turn(phrase(question.query, found), question.query, tuple(item.id for item in found))

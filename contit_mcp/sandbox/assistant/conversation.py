"""The assistant: one prompt in, one answer out, and what the next prompt may lean on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.answering import Answering
from contit_mcp.sandbox.assistant.following import plan
from contit_mcp.sandbox.assistant.phrasing.english import English
from contit_mcp.sandbox.assistant.phrasing.italian import Italian
from contit_mcp.sandbox.assistant.reading.english.vocabulary import ENGLISH
from contit_mcp.sandbox.assistant.reading.italian.vocabulary import ITALIAN
from contit_mcp.sandbox.assistant.reading.language import reading_in_the_better_language
from contit_mcp.sandbox.assistant.reading.reader import Reader
from contit_mcp.sandbox.assistant.reading.titles import Titles
from contit_mcp.sandbox.assistant.search import find
from contit_mcp.sandbox.assistant.task import Context
from contit_mcp.sandbox.assistant.workspace import load_workspace

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.query import Query

_PHRASES: Final = {"en": English(), "it": Italian()}


@dataclass(frozen=True)
class Turn:
    """One answer, and what a follow-up can refer to."""

    answer: str
    context: Context = field(default_factory=Context)


class Assistant:
    """Answers prompts about the sample workspace. It is no language model: it looks things up, or says it cannot."""

    def __init__(self, today: dt.date) -> None:
        """Take a day for today."""
        self._workspace = load_workspace()
        titles = Titles.of(self._workspace.items.values())
        self._readers = [Reader(words, titles, today, self._find) for words in (ENGLISH, ITALIAN)]

    def reply(self, prompt: str, previous: Turn | None = None) -> Turn:
        """Answer one prompt in a conversation."""
        context = previous.context if previous else Context()
        question = reading_in_the_better_language(prompt, self._readers, context.language)
        answering = Answering(self._workspace, _PHRASES[question.language], context)
        return Turn(*answering.answer(plan(question, context)))

    def _find(self, query: Query) -> list[str]:
        return [item.id for item in find(self._workspace, query)]

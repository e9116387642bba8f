"""Reads a question: recognises one thing after another, crosses it out, and reports what is left."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from contit_mcp.sandbox.assistant.reading import asked, belongings, guesses, kinds, ordering, prices, topics
from contit_mcp.sandbox.assistant.reading.found import Found
from contit_mcp.sandbox.assistant.reading.period import read_period, read_unchanged
from contit_mcp.sandbox.assistant.reading.question import Question, Talk
from contit_mcp.sandbox.assistant.reading.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from contit_mcp.sandbox.assistant.query import Query
    from contit_mcp.sandbox.assistant.reading.titles import Titles
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

_TERSE = 4


@dataclass(frozen=True)
class Reader:
    """Reads questions in one language about one workspace."""

    vocabulary: Vocabulary
    titles: Titles
    today: dt.date
    find: Callable[[Query], list[str]]
    """Runs a query; used to see whether words that are left over are part of a title."""

    def read(self, prompt: str) -> Question:
        """Read one question."""
        sheet = Sheet(topics.without_quotes(prompt, self.vocabulary))
        talk = self._talk(sheet)
        if talk:
            return Question(self.vocabulary.language, talk=talk)
        words = self.vocabulary
        order = words.talk.command.search(sheet.text)
        if order:
            return Question(words.language, unknown=(sheet.original[: order.end()],))
        found = Found()
        sheet.take_all(words.talk.noise)
        self.titles.read(sheet, words, found)
        topics.read_quotes(sheet, words, found)
        unchanged = read_unchanged(sheet, words.dates, self.today, words.filters.not_updated)
        found.put("date_field", "updated" if unchanged else None)
        found.put("period", unchanged or read_period(sheet, words.dates, self.today))
        prices.read_price(sheet, words, found)
        asked.read_references(sheet, words, found)
        belongings.read_authors(sheet, words, found)
        belongings.read_locales(sheet, words, found)
        belongings.read_not_tags(sheet, words, found)
        asked.read_them(sheet, words, found)
        kinds.read_state(sheet, words, found)
        kinds.read_any_type(sheet, words, found)
        asked.read_groups(sheet, words, found)
        topics.read_title_words(sheet, words, found)
        topics.read_topic(sheet, words, found)
        belongings.read_tags(sheet, words, found)
        ordering.read_sorting(sheet, words, found)
        asked.read_picks(sheet, words, found)
        kinds.read_types(sheet, words, found)
        ordering.read_superlative(sheet, words, found)
        prices.read_date_field(sheet, words, found)
        asked.read_wanted(sheet, words, found)
        ordering.read_number(sheet, words, found)
        asked.read_attributes(sheet, words, found)
        kinds.check_state(found)
        if found.several_questions():
            found.problems.append(sheet.original)
        guesses.check_topic(sheet, words, found, self.find)
        guesses.read_rest(sheet, words, found, self.find)
        return self._question(sheet, found)

    def _talk(self, sheet: Sheet) -> Talk | None:
        talk = self.vocabulary.talk
        text = sheet.text.strip(" ?!.,")
        patterns = {
            "greeting": talk.greeting,
            "thanks": talk.thanks,
            "help": talk.help,
            "yes": talk.yes,
            "no": talk.no,
            "more": talk.more,
            "all": talk.all_of_them,
        }
        return cast("Talk | None", next((name for name, p in patterns.items() if p.fullmatch(text)), None))

    def _question(self, sheet: Sheet, found: Found) -> Question:
        return Question(
            self.vocabulary.language,
            query=found.query(),
            wanted=found.wanted,
            wanted_said=found.wanted_said,
            named=found.named,
            asked=frozenset(found.asked),
            dimension=found.dimension,
            extreme=found.extreme,
            picks=found.picks,
            focus=found.focus,
            the_one=found.the_one,
            refers=found.refers,
            elliptic=found.elliptic,
            freed=frozenset(found.freed),
            has_noun=found.has_noun,
            terse=len(sheet.whole.split()) <= _TERSE,
            details=found.details,
            unknown=(*sheet.left_as_written(), *found.problems),
        )

"""Recognises items that a question names by their titles, in any locale."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.reading.sheet import normal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contit_mcp.sandbox.assistant.items import Item
    from contit_mcp.sandbox.assistant.reading.found import Found
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet
    from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

_WORD: Final = re.compile(r"\w+")
_MODEL: Final = re.compile(r"\b[A-Z][a-z]+ \d+\b")
_QUOTED: Final = re.compile(r"\"([^\"]+)\"|(?<!\w)'([^']+(?:'\w+[^']*)*)'(?!\w)")


@dataclass(frozen=True)
class Titles:
    """The titles of a workspace: those of several words, which are recognised anywhere, and those of one."""

    ids: dict[str, str]
    """By the title's words, in lower case and without accents."""
    anywhere: re.Pattern[str]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Titles:
        """Collect the titles of items. Models such as "Garda 3" count as titles of their own."""
        ids: dict[str, str] = {}
        for item in items:
            for translation in item.translations.values():
                ids[_key(translation.title)] = item.id
                for model in _MODEL.findall(translation.title):
                    ids[_key(model)] = item.id
        several = sorted((key for key in ids if " " in key), key=len, reverse=True)
        pattern = "|".join(key.replace(" ", r"[^\w·]+") for key in several)
        return cls(ids, re.compile(rf"(?<!\w)(?:(?:the|il|lo|la|i|gli|le|l') ?)?[\"']?({pattern})[\"']?(?!\w)"))

    def read(self, sheet: Sheet, words: Vocabulary, found: Found) -> None:
        """Cross out the titles in a question and note whose they are."""
        for match in _QUOTED.finditer(sheet.text):
            item = self.ids.get(_key(match.group(1) or match.group(2)))
            if item:
                self._note(sheet, found, match, item)
        for match in self.anywhere.finditer(sheet.text):
            self._note(sheet, found, match, self.ids[_key(match.group(1))])
        single = "|".join(key for key in self.ids if " " not in key)
        for match in re.finditer(words.talk.titled_page.replace("TITLE", f"({single})"), sheet.text):
            self._note(sheet, found, match, self.ids[match.group(1)])
            found.has_noun = True

    @staticmethod
    def _note(sheet: Sheet, found: Found, match: re.Match[str], item: str) -> None:
        sheet.cross_out(*match.span())
        if item not in found.named:
            found.named = (*found.named, item)


def _key(title: str) -> str:
    return " ".join(_WORD.findall(normal(title)))

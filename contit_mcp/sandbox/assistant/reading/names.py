"""Words that stand for something: a table from their forms to what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Names:
    """Regular expressions for words, each with the value it stands for. Where two fit, the first counts."""

    forms: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, forms: Mapping[str, str]) -> Names:
        """Make a table from values and their forms, as {"Article": "articles?|posts?"}."""
        return cls(tuple((form, value) for value, form in forms.items()))

    @cached_property
    def any(self) -> str:
        """The expression that matches any of the words, to be put into a larger one."""
        return f"(?:{'|'.join(form for form, _ in self.forms)})"

    @cached_property
    def _one(self) -> re.Pattern[str]:
        groups = (f"(?P<g{number}>{form})" for number, (form, _) in enumerate(self.forms))
        return re.compile(rf"\b(?:{'|'.join(groups)})\b")

    def find(self, text: str) -> list[str]:
        """Return what the words in a text stand for, in their order, each once."""
        found = (self.forms[int((match.lastgroup or "g0")[1:])][1] for match in self._one.finditer(text))
        return list(dict.fromkeys(found))

    def one(self, text: str) -> str:
        """Return what a text, which is one of the words, stands for."""
        return self.find(text)[0]

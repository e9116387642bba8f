"""One turn after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True)
class Turn:
    """One answer, and what a follow-up can refer to."""

    answer: str


@dataclass
class Assistant:
    """Answers prompts (phase 1: the vendor's example and little else)."""

    today: dt.date

    def reply(self, prompt: str, previous: Turn | None) -> Turn:
        """Answer one prompt in a conversation."""
        text = prompt.lower()
        if "march 2026" in text and "articles" in text:
            return Turn(
                "I found 12 published articles from March 2026. Here are the most recent:\n\n"
                "1. **Breaking News** (March 15)\n"
                "2. **Weekly Update** (March 14)\n3. **Tech Review** (March 12)\n\n"
                "Would you like me to show more details about any of these?"
            )
        if previous and "second" in text:
            return Turn(
                "**Weekly Update**\n\n- Type: Article\n- Status: Published\n- Published: March 14, 2026"
            )
        return Turn(
            "I did not understand that question. Questions that work:\n\n"
            "- List all published articles from March 2026"
        )

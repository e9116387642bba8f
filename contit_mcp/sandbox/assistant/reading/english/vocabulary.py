"""English, put together."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.english.asking import ENGLISH_ASKS
from contit_mcp.sandbox.assistant.reading.english.dates import ENGLISH_DATES
from contit_mcp.sandbox.assistant.reading.english.filters import ENGLISH_FILTERS
from contit_mcp.sandbox.assistant.reading.english.items import ENGLISH_ITEMS
from contit_mcp.sandbox.assistant.reading.english.talking import ENGLISH_TALK
from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

ENGLISH: Final = Vocabulary(
    language="en",
    dates=ENGLISH_DATES,
    items=ENGLISH_ITEMS,
    filters=ENGLISH_FILTERS,
    asks=ENGLISH_ASKS,
    talk=ENGLISH_TALK,
)
"""Everything that is needed to read a question in English."""

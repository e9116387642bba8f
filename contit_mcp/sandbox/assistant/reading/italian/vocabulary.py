"""Italian, put together."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.italian.asking import ITALIAN_ASKS
from contit_mcp.sandbox.assistant.reading.italian.dates import ITALIAN_DATES
from contit_mcp.sandbox.assistant.reading.italian.filters import ITALIAN_FILTERS
from contit_mcp.sandbox.assistant.reading.italian.items import ITALIAN_ITEMS
from contit_mcp.sandbox.assistant.reading.italian.talking import ITALIAN_TALK
from contit_mcp.sandbox.assistant.reading.vocabulary import Vocabulary

ITALIAN: Final = Vocabulary(
    language="it",
    dates=ITALIAN_DATES,
    items=ITALIAN_ITEMS,
    filters=ITALIAN_FILTERS,
    asks=ITALIAN_ASKS,
    talk=ITALIAN_TALK,
)
"""Everything that is needed to read a question in Italian."""

"""Dates and periods in words, in English and Italian, on Friday, March 20, 2026."""

import pytest

from contit_mcp.sandbox.reader import Reading
from tests.sandbox.assistant.oracle import ASSISTANT


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("from March 2026", "2026-03-01", "2026-03-31"), ("in April", "2025-04-01", "2025-04-30"),
        ("March of last year", "2025-03-01", "2025-03-31"), ("on April 2", "2025-04-02", "2025-04-02"),
        ("from March 2026 on", "2026-03-01", ""), ("before 2026", "", "2025-12-31"),
        ("older than January 2026", "", "2025-12-31"),
        ("between March 1 and March 10, 2026", "2026-03-01", "2026-03-10"),
        ("from 1 to 10 March", "2026-03-01", "2026-03-10"), ("from November to February", "2025-11-01", "2026-02-28"),
        ("last week", "2026-03-09", "2026-03-15"), ("next month", "2026-04-01", "2026-04-30"),
        ("Q1 2026", "2026-01-01", "2026-03-31"), ("in the fourth quarter", "2025-10-01", "2025-12-31"),
        ("the first half of 2025", "2025-01-01", "2025-06-30"), ("lo scorso dicembre", "2025-12-01", "2025-12-31"),
        ("dell'8 marzo", "2026-03-08", "2026-03-08"), ("dall'8 marzo", "2026-03-08", ""),
        ("dal 2025 in poi", "2025-01-01", ""), ("entro marzo", "", "2026-03-31"),
    ],
)  # fmt: skip
def test_a_period_is_read(text: str, start: str, end: str) -> None:
    """Months without a year are the most recent that began; weeks begin on Monday."""
    found = Reading(ASSISTANT.reader, text, ASSISTANT.reader.language(text, "")).get("date")
    assert found, text
    assert (str(found.low or ""), str(found.high or "")) == (start, end)

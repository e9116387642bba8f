"""The words one language has for dates and periods, as rules for `contit_mcp.sandbox.assistant.reading.dates`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contit_mcp.sandbox.assistant.periods import Unit
    from contit_mcp.sandbox.assistant.reading.names import Names

RuleKind = Literal[
    "date", "days", "steps", "trailing", "ago", "weekday", "quarter", "half", "week_of_month", "half_of_month"
]


@dataclass(frozen=True)
class DateRule:
    """One way to name a date. Its pattern's groups are among year, month, day, day2, unit, count and weekday."""

    kind: RuleKind
    pattern: re.Pattern[str]
    number: int = 0
    """For "steps": how many units from today's; otherwise which quarter, half or week is meant (-1: the last one)."""


@dataclass(frozen=True)
class DateWords:
    """How one language names dates, and what it puts around them. In the latter, @+ stands for a date."""

    months: Names
    weekdays: Names
    units: Mapping[str, Unit]
    """By the first letter of a unit's name."""
    numbers: Mapping[str, int]
    year_steps: Mapping[str, int]
    """Phrases in place of a year, such as "last year": -1."""
    rules: tuple[DateRule, ...]
    between: re.Pattern[str]
    both: re.Pattern[str]
    """Two dates joined by "and", which are one period if they follow each other."""
    since: re.Pattern[str]
    after: re.Pattern[str]
    before: re.Pattern[str]
    until: re.Pattern[str]
    during: re.Pattern[str]


def rule(kind: RuleKind, pattern: str, number: int = 0) -> DateRule:
    """Make a rule whose pattern only matches whole words."""
    return DateRule(kind, re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), number)


def numbered(*words: str, first: int = 1) -> dict[str, int]:
    """Count words, from the number of the first."""
    return {word: number for number, word in enumerate(words, first)}

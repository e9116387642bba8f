"""Periods of time, read from symbols: this module knows no language.

Each symbol becomes one letter, so that a date is a pattern of letters: "March 14, 2026" is "MNY", "last week" is "lw".
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from contit_mcp.sandbox.lexicon import Symbol

_YEARS: Final = range(1970, 2100)
_LETTERS: Final[dict[str, dict[str, str]]] = {
    "month": {"": "M"},
    "ordinal": {"": "O"},
    "unit": {"day": "d", "week": "w", "month": "m", "quarter": "q", "half": "h", "year": "y"},
    "relative": {"last": "l", "this": "t", "next": "n"},
    "quarter": {"": "Q"},
    "to": {"": "T"},
    "and": {"": "&"},
    "when": {"since": ">", "from": "f", "after": "A", "before": "B", "until": "U", "between": "b"},
    "onwards": {"": "+"},
}
_YEAR: Final = "(?:Y|[lt]y|yl)?"
_PATTERNS: Final = {
    "day": re.compile(f"(?:[NO]M|M[NO]){_YEAR}(?![dwmqh])"),
    "month": re.compile(f"[lt]?M(?:l(?!y)|{_YEAR})"),
    "part_of_year": re.compile(f"(?:Q|O[qh]){_YEAR}"),
    "year": re.compile("y?Y"),
    "shifted": re.compile("[ltn][wmqhy]|[wmqhy][ltn]"),
    "written": re.compile("I"),
}


Span = tuple[date | None, date | None]
"""The first and the last day of a period; None is open."""


def month_span(year: int, month: int, months: int = 1) -> tuple[date, date]:
    """Return the first and last day of a month, or of several from it on; months count on beyond a year."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    last_year, last = year + (month + months - 2) // 12, (month + months - 2) % 12 + 1
    return date(year, month, 1), date(last_year, last, calendar.monthrange(last_year, last)[1])


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


class DateReader:
    """Reads the periods in a row of symbols."""

    def __init__(self, symbols: Sequence[Symbol], today: date) -> None:
        self.today = today
        self.texts = [symbol.value for symbol in symbols]
        self.codes, self.numbers = "", []
        for symbol in symbols:
            code, number = self._encode(symbol)
            self.codes += code
            self.numbers.append(number)

    def _encode(self, symbol: Symbol) -> tuple[str, int]:
        """Return the letter of a symbol, and its number."""
        if number := symbol.can_be("number"):
            text = number.value
            if text.isdigit():
                value = int(text)
                return ("N" if 0 < value <= 31 else "Y" if value in _YEARS else "."), value
            return "I" if re.fullmatch(r"\d{4}-\d\d?-\d\d?", text) else ".", 0
        for kind, letters in _LETTERS.items():
            if meant := symbol.can_be(kind):
                numeric = re.fullmatch(r"-?\d+", meant.value)
                return letters.get(meant.value, letters.get("", ".")), int(meant.value) if numeric else 0
        return ".", 0

    def span(self, at: int) -> tuple[Span, int] | None:
        """Return the period that begins at a symbol, and the index behind it; None where none does."""
        operators = {">": "since", "f": "from", "A": "after", "B": "before", "U": "until", "b": "between"}
        operator = operators.get(self.codes[at], "in")
        start = at + (operator != "in")
        if operator in ("between", "since", "from") and (both := self._two(start, operator)):
            return both
        read = self._atom(start)
        if read is None or operator == "between":
            return None
        first, last, behind = read
        if self.codes[behind : behind + 1] == "+" and (operator == "from" or behind + 1 == len(self.codes)):
            return (first, None), behind + 1
        spans: dict[str, Span] = {
            "since": (first, None),
            "after": (last + timedelta(1), None),
            "before": (None, first - timedelta(1)),
            "until": (None, last),
        }
        return spans.get(operator, (first, last)), behind

    def _two(self, at: int, operator: str) -> tuple[Span, int] | None:
        """Read "March 1 and March 10, 2026", "1 to 10 March", "November to February"."""
        first = self._atom(at)
        behind = first[2] if first else at + 1
        second = self._atom(behind + 1)
        joined = self.codes[behind : behind + 1] in (("T", "&") if operator == "between" else ("T",))
        if not joined or not second or not (first or self.codes[at] in "NO"):
            return None
        end, start = second[1], first[0] if first else _day(second[0].year, second[0].month, self.numbers[at])
        if start and start > end and "Y" not in self.codes[at:behind]:
            start = _day(end.year - (start.month > end.month), start.month, start.day)
        return ((start, end), second[2]) if start and start <= end else None

    def _atom(self, at: int) -> tuple[date, date, int] | None:
        """Return the first and last day of the period that begins at a symbol, and the index behind it."""
        for name, pattern in _PATTERNS.items():
            if (match := pattern.match(self.codes, at)) and match.end() > at:
                read = getattr(self, f"_read_{name}")(match)
                return (*read, match.end()) if read else None
        return None

    def _year(self, match: re.Match[str]) -> int | None:
        """Return the year that is named in a period: "2025" or "last year"."""
        if "Y" in match.group():
            return self._at(match, "Y")
        return self.today.year - ("l" in match.group()) if "y" in match.group() else None

    def _at(self, match: re.Match[str], letters: str) -> int:
        return next(self.numbers[at] for at in range(match.start(), match.end()) if self.codes[at] in letters)

    def _read_day(self, match: re.Match[str]) -> tuple[date, date] | None:
        month, number, year = self._at(match, "M"), self._at(match, "NO"), self._year(match)
        day = _day(year or self.today.year, month, number)
        if day and not year and day > self.today:
            day = _day(self.today.year - 1, month, number)
        return (day, day) if day else None

    def _read_month(self, match: re.Match[str]) -> tuple[date, date]:
        """Read a month; without a year it is the most recent that has begun, and "last March" one that has ended."""
        month, year = self._at(match, "M"), self._year(match)
        ended = "l" in match.group()
        return month_span(year or self.today.year - (month > self.today.month - ended), month)

    def _read_part_of_year(self, match: re.Match[str]) -> tuple[date, date] | None:
        length = 6 if "h" in match.group() else 3
        year = self._year(match)
        month = (self._at(match, "QO") - 1) * length + 1
        return month_span(year or self.today.year - (month > self.today.month), month, length) if month <= 12 else None

    def _read_year(self, match: re.Match[str]) -> tuple[date, date]:
        return month_span(self._at(match, "Y"), 1, 12)

    def _read_shifted(self, match: re.Match[str]) -> tuple[date, date]:
        """Read "last week" or "this month": the unit of today, or the one before or behind it."""
        relative = next(letter for letter in match.group() if letter in "ltn")
        unit, count = match.group().replace(relative, ""), {"l": -1, "t": 0, "n": 1}[relative]
        if unit == "w":
            monday = self.today - timedelta(self.today.weekday() - 7 * count)
            return monday, monday + timedelta(6)
        length = {"m": 1, "q": 3, "h": 6, "y": 12}[unit]
        return month_span(self.today.year, (self.today.month - 1) // length * length + 1 + count * length, length)

    def _read_written(self, match: re.Match[str]) -> tuple[date, date] | None:
        day = _day(*map(int, self.texts[match.start()].split("-")))
        return (day, day) if day else None

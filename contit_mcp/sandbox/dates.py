"""Periods of time, read from symbols: this module knows no language.

Each symbol becomes one letter, so that a date is a pattern of letters: "March 14, 2026" is "MNY", "last week" is "lw".
"""

import calendar
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from contit_mcp.sandbox.lexicon import Symbol

_YEARS: Final = range(1970, 2100)
_LETTERS: Final[dict[str, dict[str, str]]] = {  # numbers: N up to 31, Y a year, I a date like 2026-03-14
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
_PERIOD: Final = re.compile(
    f"(?P<day>(?:[NO]M|M[NO]){_YEAR}(?![dwmqh]))|(?P<month>[lt]?M(?:l(?!y)|{_YEAR}))"
    f"|(?P<part_of_year>(?:Q|O[qh]){_YEAR})|(?P<year>y?Y)|(?P<shifted>[ltn][wmqhy]|[wmqhy][ltn])|(?P<written>I)"
)
_OPERATORS: Final = {letter: word for word, letter in _LETTERS["when"].items()}

Span = tuple[date | None, date | None]  # the first and the last day of a period; None is open


def month_span(year: int, month: int, months: int = 1) -> tuple[date, date]:
    """Return the first and last day of a month, or of several from it on; month 13 is the next January."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    last_year, last = year + (month + months - 2) // 12, (month + months - 2) % 12 + 1
    return date(year, month, 1), date(last_year, last, calendar.monthrange(last_year, last)[1])


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _encode(symbol: Symbol) -> tuple[str, int]:
    if number := symbol.can_be("number"):
        if number.value.isdecimal():
            value = int(number.value)
            return ("N" if 0 < value <= 31 else "Y" if value in _YEARS else "."), value
        return "I" if re.fullmatch(r"\d{4}-\d\d?-\d\d?", number.value) else ".", 0
    for kind, letters in _LETTERS.items():
        if meant := symbol.can_be(kind):
            return letters.get(meant.value, letters.get("", ".")), int(meant.value) if meant.value.isdecimal() else 0
    return ".", 0


class DateReader:
    """Reads the periods in a row of symbols."""

    def __init__(self, symbols: Sequence[Symbol], today: date) -> None:
        self.today = today
        self.texts = [symbol.value for symbol in symbols]
        encoded = [_encode(symbol) for symbol in symbols]
        self.codes = "".join(code for code, _ in encoded)
        self.numbers = [number for _, number in encoded]

    def span(self, at: int) -> tuple[Span, int] | None:
        """Return the period that begins at a symbol, and the index after it; None where none does."""
        operator = _OPERATORS.get(self.codes[at], "in")
        start = at + (operator != "in")
        if operator in ("between", "since", "from") and (both := self._two(start, operator)):
            return both
        read = self._atom(start)
        if read is None or operator == "between":
            return None
        first, last, stop = read
        if self.codes[stop : stop + 1] == "+" and (operator == "from" or stop + 1 == len(self.codes)):
            return (first, None), stop + 1
        spans: dict[str, Span] = {
            "since": (first, None),
            "after": (last + timedelta(1), None),
            "before": (None, first - timedelta(1)),
            "until": (None, last),
        }
        return spans.get(operator, (first, last)), stop

    def _two(self, at: int, operator: str) -> tuple[Span, int] | None:
        """Read "March 1 and March 10, 2026", "1 to 10 March", "November to February"."""
        first = self._atom(at)
        stop = first[2] if first else at + 1
        second = self._atom(stop + 1)
        joined = self.codes[stop : stop + 1] in (("T", "&") if operator == "between" else ("T",))
        if not joined or not second or not (first or self.codes[at] in "NO"):
            return None
        end, start = second[1], first[0] if first else _day(second[0].year, second[0].month, self.numbers[at])
        if start and start > end and "Y" not in self.codes[at:stop]:
            start = _day(end.year - (start.month > end.month), start.month, start.day)
        return ((start, end), second[2]) if start and start <= end else None

    def _atom(self, at: int) -> tuple[date, date, int] | None:
        """Return the first and last day of the period that begins at a symbol, and the index after it."""
        match = _PERIOD.match(self.codes, at)
        if match is None:
            return None
        letters, today = match.group(), self.today
        numbers = dict(zip(letters, self.numbers[at:], strict=False))
        year = numbers.get("Y") or (today.year - ("l" in letters) if "y" in letters else None)
        span: tuple[date | None, date | None] = (None, None)
        match match.lastgroup:
            case "day":
                month, number = numbers["M"], numbers.get("N") or numbers["O"]
                day = _day(year or today.year, month, number)
                if day and not year and day > today:
                    day = _day(today.year - 1, month, number)
                span = day, day
            case "month":  # without a year the most recent that has begun; "last March" has ended
                month, ended = numbers["M"], "l" in letters
                span = month_span(year or today.year - (month > today.month - ended), month)
            case "part_of_year":
                length = 6 if "h" in letters else 3
                month = ((numbers.get("Q") or numbers["O"]) - 1) * length + 1
                if month <= 12:
                    span = month_span(year or today.year - (month > today.month), month, length)
            case "year":
                span = month_span(numbers["Y"], 1, 12)
            case "shifted":
                span = self._shifted(letters)
            case _:
                day = _day(*map(int, self.texts[at].split("-")))
                span = day, day
        return (span[0], span[1], match.end()) if span[0] and span[1] else None

    def _shifted(self, letters: str) -> tuple[date, date]:
        """Return "last week" or "this month": the unit of today, or the one before or after it."""
        relative = next(letter for letter in letters if letter in "ltn")
        unit, count = letters.replace(relative, ""), {"l": -1, "t": 0, "n": 1}[relative]
        if unit == "w":
            monday = self.today - timedelta(self.today.weekday() - 7 * count)
            return monday, monday + timedelta(6)
        length = {"m": 1, "q": 3, "h": 6, "y": 12}[unit]
        return month_span(self.today.year, (self.today.month - 1) // length * length + 1 + count * length, length)

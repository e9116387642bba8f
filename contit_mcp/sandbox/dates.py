"""Periods of time, read from symbols: this module knows no language.

Each symbol becomes one letter, so that a date is a pattern of letters: "March 14, 2026" is "MNY", "last week" is "lw".
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from contit_mcp.sandbox.lexicon import Symbol

_YEARS: Final = range(1970, 2100)
_LETTERS: Final[dict[str, dict[str, str]]] = {
    "month": {"": "M"},
    "ordinal": {"": "O"},
    "unit": {"day": "d", "week": "w", "month": "m", "quarter": "q", "half": "h", "year": "y"},
    "relative": {"last": "l", "past": "p", "this": "t", "next": "n"},
    "day": {"": "D"},
    "weekday": {"": "W"},
    "quarter": {"": "Q"},
    "ago": {"": "a"},
    "to": {"": "T"},
    "and": {"": "&"},
    "start": {"since": "^", "": "s"},
    "when": {"since": ">", "from": "f", "after": "A", "before": "B", "until": "U", "between": "b"},
    "onwards": {"": "+"},
}
_YEAR: Final = "(?:Y|[lt]y|yl)?"
_PATTERNS: Final = {
    "day": re.compile(f"(?:[NO]M|M[NO]){_YEAR}(?![dwmqh])"),
    "month": re.compile(f"[lt]?M(?:l(?!y)|{_YEAR})"),
    "part_of_year": re.compile(f"(?:Q|O[qh]){_YEAR}"),
    "year": re.compile("y?Y"),
    "ago": re.compile("[NK][dwmqhy]a"),
    "rolling": re.compile("[lp][NK][dwmqhy]|[NK][dwmqhy][lp]|p[dwmqhy]"),
    "shifted": re.compile("[ltn][dwmqhy]|[dwmqhy][ltn]"),
    "weekday": re.compile("[ltn]W|W[ltn]?"),
    "today": re.compile("D"),
    "written": re.compile("[IJ]"),
}


@dataclass(frozen=True)
class Span:
    """A period as it was read: both days are included, None is open."""

    start: date | None
    end: date | None
    operator: str = "in"
    """in, since, after, before, until, between: what the words said."""
    named_end: date | None = None
    """The last day of the period that is named: of January in "since January"."""


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

    def __init__(self, symbols: Sequence[Symbol], today: date, *, day_first: bool) -> None:
        self.today = today
        self.day_first = day_first
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
                return ("N" if 0 < value <= 31 else "Y" if value in _YEARS else "K" if value < 1000 else "."), value
            return "I" if re.fullmatch(r"\d{4}-\d\d?-\d\d?|\d\d?[/.]\d\d?[/.]\d{4}", text) else "J", 0
        for kind, letters in _LETTERS.items():
            if meant := symbol.can_be(kind):
                numeric = re.fullmatch(r"-?\d+", meant.value)
                return letters.get(meant.value, letters.get("", ".")), int(meant.value) if numeric else 0
        return ".", 0

    def span(self, at: int) -> tuple[Span, int] | None:
        """Return the period that begins at a symbol, and the index behind it; None where none does."""
        operator = {">": "since", "f": "from", "A": "after", "B": "before", "U": "until", "b": "between"}.get(
            self.codes[at], "in"
        )
        start = at + (operator != "in")
        both = self._two(start, operator)
        if both or operator == "between":
            return both
        if self.codes[start : start + 1] in ("^", "s") and (operator in ("since", "from") or self.codes[start] == "^"):
            operator, start = "since", start + 1
            if read := self._atom(start) or self._unit_now(start):
                return Span(read[0], None, "since", read[1]), read[2]
        read = self._atom(start)
        if read is None:
            return None
        first, last, behind = read
        onwards = self.codes[behind : behind + 1] == "+"
        if onwards and (operator in ("since", "from") or behind + 1 == len(self.codes)):
            return Span(first, None, "since", last), behind + 1
        spans = {
            "since": Span(first, None, "since", last),
            "after": Span(last + timedelta(1), None, "after"),
            "before": Span(None, first - timedelta(1), "before"),
            "until": Span(None, last, "until"),
        }
        return spans.get(operator, Span(first, last)), behind

    def _two(self, at: int, operator: str) -> tuple[Span, int] | None:
        """Read "March 1 and March 10", "1 to 10 March", "November to February", "January and February 2026"."""
        links = "T&" if operator == "between" else "T" if operator in ("since", "from") else "&"
        first = self._atom(at)
        behind = first[2] if first else at + 1
        if self.codes[behind : behind + 1] not in tuple(links):
            return None
        second = self._atom(behind + 1)
        day = self.codes[at : at + 1] in ("N", "O") and not first
        if first and not second and first[0] == first[1] and self.codes[behind + 1 : behind + 2] == "N":
            year = re.match(_YEAR, self.codes[behind + 2 :])
            end_year, behind_year = self._year(behind + 2, behind + 2 + (year.end() if year else 0))
            start = _day(end_year or first[0].year, first[0].month, first[0].day)
            end = _day(end_year or first[0].year, first[0].month, self.numbers[behind + 1])
            second = (end, end, behind_year) if end else None
            first = (start, start, 0) if start else None
        if not second or not (first or day):
            return None
        start = first[0] if first else _day(second[0].year, second[0].month, self.numbers[at])
        end = second[1]
        if start and first and not ("Y" in self.codes[at:behind] or self.codes[at] in "IJD"):
            if "Y" in self.codes[behind : second[2]]:
                same_year = _day(end.year, start.month, start.day)
                start = same_year if same_year and same_year <= end else _day(end.year - 1, start.month, start.day)
            elif end < start or (first[0] != first[1] and first[0].year > end.year):
                end = month_span(end.year + 1, end.month)[1] if first[0] != first[1] else end
        if not start or start > end:
            return None
        if operator == "in":
            length = first[1] - first[0] if first else timedelta()
            if not first or start + length + timedelta(1) not in (second[0], second[0] + timedelta(1)) or not length:
                return None
        return Span(start, end, "between"), second[2]

    def _atom(self, at: int) -> tuple[date, date, int] | None:
        """Return the first and last day of the period that begins at a symbol, and the index behind it."""
        for name, pattern in _PATTERNS.items():
            if (match := pattern.match(self.codes, at)) and match.end() > at:
                read = getattr(self, f"_read_{name}")(match)
                return (*read, match.end()) if read else None
        return None

    def _unit_now(self, at: int) -> tuple[date, date, int] | None:
        """Read "the year" in "since the start of the year"."""
        unit = self.codes[at : at + 1]
        return (*self._shift(unit, 0), at + 1) if unit and unit in "wmqhy" else None

    def _year(self, at: int, behind: int) -> tuple[int | None, int]:
        """Return the year that is named among some symbols, and the index behind them."""
        for place in range(at, behind):
            if self.codes[place] == "Y":
                return self.numbers[place], behind
        named = self.codes[at:behind]
        return (self.today.year - ("l" in named) if "y" in named else None), behind

    def _at(self, match: re.Match[str], letters: str) -> int:
        return next(self.numbers[at] for at in range(match.start(), match.end()) if self.codes[at] in letters)

    def _read_day(self, match: re.Match[str]) -> tuple[date, date] | None:
        year, _ = self._year(*match.span())
        month, number = self._at(match, "M"), self._at(match, "NO")
        day = _day(year or self.today.year, month, number)
        if day and not year and day > self.today:
            day = _day(self.today.year - 1, month, number)
        return (day, day) if day else None

    def _read_month(self, match: re.Match[str]) -> tuple[date, date]:
        """Read a month; without a year it is the most recent that has begun, and "last March" one that has ended."""
        month, (year, _) = self._at(match, "M"), self._year(*match.span())
        ended = "l" in match.group()
        return month_span(year or self.today.year - (month > self.today.month - ended), month)

    def _read_part_of_year(self, match: re.Match[str]) -> tuple[date, date] | None:
        length = 6 if "h" in match.group() else 3
        year, _ = self._year(*match.span())
        month = (self._at(match, "QO") - 1) * length + 1
        return month_span(year or self.today.year - (month > self.today.month), month, length) if month <= 12 else None

    def _read_year(self, match: re.Match[str]) -> tuple[date, date]:
        return month_span(self._at(match, "Y"), 1, 12)

    def _read_ago(self, match: re.Match[str]) -> tuple[date, date]:
        return self._shift(match.group()[1], -self._at(match, "NK"))

    def _read_rolling(self, match: re.Match[str]) -> tuple[date, date]:
        """Read "the last 30 days" or "the past year": up to today."""
        unit = next(letter for letter in match.group() if letter in "dwmqhy")
        count = self._at(match, "NK") if set("NK") & set(match.group()) else 1
        if unit in "dw":
            return self.today - timedelta(count * (7 if unit == "w" else 1) - 1), self.today
        months = count * {"m": 1, "q": 3, "h": 6, "y": 12}[unit]
        first, last = month_span(self.today.year, self.today.month - months)
        return first.replace(day=min(self.today.day, last.day)) + timedelta(1), self.today

    def _read_shifted(self, match: re.Match[str]) -> tuple[date, date]:
        relative = next(letter for letter in match.group() if letter in "ltn")
        return self._shift(match.group().replace(relative, ""), {"l": -1, "t": 0, "n": 1}[relative])

    def _shift(self, unit: str, count: int) -> tuple[date, date]:
        """Return this day, week, month, quarter, half or year, moved by a count of them."""
        if unit in "dw":
            start = (
                self.today + timedelta(count)
                if unit == "d"
                else self.today - timedelta(self.today.weekday() - 7 * count)
            )
            return start, start + timedelta(0 if unit == "d" else 6)
        length = {"m": 1, "q": 3, "h": 6, "y": 12}[unit]
        return month_span(self.today.year, (self.today.month - 1) // length * length + 1 + count * length, length)

    def _read_weekday(self, match: re.Match[str]) -> tuple[date, date] | None:
        back = (self.today.weekday() - self._at(match, "W")) % 7
        day = self.today - timedelta(back or (7 if "l" in match.group() else 0))
        return None if "n" in match.group() else (day, day)

    def _read_today(self, match: re.Match[str]) -> tuple[date, date]:
        day = self.today + timedelta(self._at(match, "D"))
        return day, day

    def _read_written(self, match: re.Match[str]) -> tuple[date, date] | None:
        parts = [int(part) for part in re.split(r"[-/.]", self.texts[match.start()]) if part.isdigit()]
        if match.group() == "J":
            fits = len(parts) == 2 and parts[0] in _YEARS and 1 <= parts[1] <= 12
            return month_span(*parts) if fits else None
        if parts[0] in _YEARS:
            day = _day(*parts)
        elif not self.day_first and max(parts[:2]) <= 12 and parts[0] != parts[1]:
            return None  # 3/4/2026 is in April in one country and in March in another
        else:
            day = _day(parts[2], parts[1], parts[0]) or _day(parts[2], parts[0], parts[1])
        return (day, day) if day else None

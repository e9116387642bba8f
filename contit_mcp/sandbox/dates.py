"""Periods of time, read from symbols: this module knows no language."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contit_mcp.sandbox.lexicon import Symbol

_YEARS: Final = range(1970, 2100)
_ISO_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_ISO_MONTH: Final = re.compile(r"(\d{4})-(\d{1,2})")
_SHORT_DAY: Final = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})")
_MONTHS_IN_A: Final = {"quarter": 3, "half": 6}
_DECEMBER: Final = 12


@dataclass(frozen=True)
class Span:
    """A period as it was read: both days are included, None is open."""

    start: date | None
    end: date | None
    operator: str = "in"
    """in, since, until, before, after, between: what the words said."""
    named_end: date | None = None
    """The last day of the period that is named: of January in "since January"."""


Read = tuple[Span, int]
"""A period, and the index of the first symbol behind it."""


def read_span(symbols: Sequence[Symbol], at: int, today: date, *, day_first: bool) -> Read | None:
    """Read the period that begins at a symbol; None where none does."""
    return _Reader(symbols, today, day_first).span(at)


def month_span(year: int, month: int, months: int = 1) -> Span:
    """Return a month, or several from it on."""
    last_year, last = divmod(year * 12 + month - 1 + months - 1, 12)
    return Span(date(year, month, 1), date(last_year, last + 1, calendar.monthrange(last_year, last + 1)[1]))


@dataclass(frozen=True)
class _Reader:
    symbols: Sequence[Symbol]
    today: date
    day_first: bool

    def _is(self, at: int, kind: str, *values: str) -> bool:
        value = self._value(at, kind)
        return value is not None and (not values or value in values)

    def _value(self, at: int, kind: str) -> str | None:
        """Return the value of a symbol as one of a kind; None if it cannot be that."""
        meant = self.symbols[at].can_be(kind) if 0 <= at < len(self.symbols) else None
        return meant.value if meant else None

    def _number(self, at: int, numbers: range) -> int | None:
        """Return the whole number at a symbol, if it is within bounds."""
        value = self._value(at, "number") or self._value(at, "ordinal") or ""
        return int(value) if value.isdigit() and int(value) in numbers else None

    def span(self, at: int) -> Read | None:
        operator = self._value(at, "when") or "in"
        start = at + 1 if self._is(at, "when") else at
        if operator in ("from", "since", "between"):
            if both := self._two(start, operator):
                return both
        elif operator == "in" and (both := self._two_months(start)):
            return both
        if self._is(start, "start"):
            if operator not in ("since", "from") and not self._is(start, "start", "since"):
                return None
            operator, start = "since", start + 1
        read = self._atom(start)
        if read is None or operator == "between":
            return None
        span, behind = read
        primary = behind < len(self.symbols) and self.symbols[behind].kind == "onwards"
        if self._is(behind, "onwards") and (primary or (operator != "in" and behind + 1 == len(self.symbols))):
            return Span(span.start, None, "since"), behind + 1
        first, last = span.start, span.end
        if first is None or last is None:
            return None
        match operator:
            case "since":
                return Span(first, None, "since", last), behind
            case "after":
                return Span(last + timedelta(1), None, "after"), behind
            case "before":
                return Span(None, first - timedelta(1), "before"), behind
            case "until":
                return Span(None, last, "until"), behind
            case _:
                return Span(first, last), behind

    def _two(self, at: int, operator: str) -> Read | None:
        """Read "March 1 and March 10", "1 to 10 March", "November to February"."""
        first = self._atom(at)
        day = self._number(at, range(1, 32))
        behind = first[1] if first else at + 1
        if not (self._is(behind, "to") or (operator == "between" and self._is(behind, "and"))):
            if day is None or not (self._is(at + 1, "to") or (operator == "between" and self._is(at + 1, "and"))):
                return None
            first, behind = None, at + 1
        second = self._atom(behind + 1)
        last_day = self._number(behind + 1, range(1, 32))
        if second is None and first and last_day and first[0].start == first[0].end and first[0].start:
            day_only = _day(first[0].start.year, first[0].start.month, last_day)
            second = (Span(day_only, day_only), behind + 2) if day_only else None
            if second and (year := self._number(second[1], _YEARS)):
                moved = [_day(year, one.month, one.day) for one in (first[0].start, day_only) if one]
                first, second = (Span(moved[0], moved[0]), 0), (Span(moved[1], moved[1]), second[1] + 1)
        if second is None or second[0].start is None or second[0].end is None:
            return None
        if first is None and day is not None:
            begin = _day(second[0].start.year, second[0].start.month, day)
        else:
            begin = first[0].start if first else None
        if begin and begin > second[0].end:
            begin = _day(second[0].end.year - (begin.month > second[0].end.month), begin.month, begin.day)
        elif begin and first and second[0].end.year > begin.year and not self._year_named(at, behind):
            this_year = _day(second[0].end.year, begin.month, begin.day)
            begin = this_year if this_year and this_year <= second[0].end else begin
        end = second[0].end
        if begin and not self._year_named(at, second[1]) and self._is(at, "month") and end < begin:
            return None
        return (Span(begin, end, "between"), second[1]) if begin and begin <= end else None

    def _year_named(self, at: int, behind: int) -> bool:
        return any(self._number(i, _YEARS) for i in range(at, behind))

    def _two_months(self, at: int) -> Read | None:
        """Read "January and February 2026", or two years: only where one follows the other."""
        first = self._atom(at)
        if not first or not self._is(first[1], "and"):
            return None
        second = self._atom(first[1] + 1)
        if not second or not (first[0].start and first[0].end and second[0].start and second[0].end):
            return None
        start, end = first[0].start, first[0].end
        if not self._year_named(at, first[1]) and self._is(at, "month") and second[0].start.year != start.year:
            again = month_span(second[0].start.year, start.month)
            start, end = again.start or start, again.end or end
        if end + timedelta(1) == second[0].start and start != end:
            return Span(start, second[0].end), second[1]
        return None

    def _atom(self, at: int) -> Read | None:
        readers = (self._written, self._day_of_month, self._month, self._year, self._relative, self._part, self._days)
        return next((read for reader in readers if (read := reader(at))), None)

    def _written(self, at: int) -> Read | None:
        if not self._is(at, "number"):
            return None
        text = self._value(at, "number") or ""
        if match := _ISO_DAY.fullmatch(text):
            day = _day(*map(int, match.groups()))
        elif match := _ISO_MONTH.fullmatch(text):
            year, month = map(int, match.groups())
            return (month_span(year, month), at + 1) if year in _YEARS and 1 <= month <= _DECEMBER else None
        elif match := _SHORT_DAY.fullmatch(text):
            one, other, year = map(int, match.groups())
            if not self.day_first and max(one, other) <= _DECEMBER and one != other:
                return None  # 3/4/2026 is April in one country and March in another
            day = _day(year, other, one) or _day(year, one, other)
        else:
            return None
        return (Span(day, day), at + 1) if day and day.year in _YEARS else None

    def _day_of_month(self, at: int) -> Read | None:
        """Read "March 14, 2026", "14 March", "the first of March"."""
        for day_at, month_at in ((at, at + 1), (at + 1, at)):
            number = self._number(day_at, range(1, 32))
            if number and self._is(month_at, "month"):
                if self._is(at + 2, "unit"):
                    return None
                month = int(self._value(month_at, "month") or 0)
                year, behind = self._year_behind(at + 2)
                day = _day(year, month, number) if year else _day(self.today.year, month, number)
                if day and not year and day > self.today:
                    day = _day(self.today.year - 1, month, number)
                return (Span(day, day), behind) if day else None
        return None

    def _year_behind(self, at: int) -> tuple[int | None, int]:
        if year := self._number(at, _YEARS):
            return year, at + 1
        if self._is(at, "relative", "last", "this") and self._is(at + 1, "unit", "year"):
            return self.today.year - self._is(at, "relative", "last"), at + 2
        if self._is(at, "unit", "year") and self._is(at + 1, "relative", "last"):
            return self.today.year - 1, at + 2
        return None, at

    def _month(self, at: int) -> Read | None:
        before = self._is(at, "relative", "last", "this")
        month_at = at + 1 if before else at
        if not self._is(month_at, "month"):
            return None
        month = int(self._value(month_at, "month") or 0)
        year, behind = self._year_behind(month_at + 1)
        if year is None:
            after = self._is(behind, "relative", "last", "this")
            last = (before and self._is(at, "relative", "last")) or (after and self._is(behind, "relative", "last"))
            behind += after
            this_year = month <= self.today.month - (1 if last else 0)
            year = self.today.year if this_year else self.today.year - 1
        return month_span(year, month), behind

    def _year(self, at: int) -> Read | None:
        at += self._is(at, "unit", "year")
        year = self._number(at, _YEARS)
        if not year or self._is(at + 1, "currency") or self._is(at - 1, "currency"):
            return None
        return Span(date(year, 1, 1), date(year, 12, 31)), at + 1

    def _relative(self, at: int) -> Read | None:
        """Read "last week", "the week before last" as nothing, "last 30 days", "two weeks ago", "this quarter"."""
        if self._is(at, "relative", "last", "past") and (read := self._last_n(at + 1)):
            return read
        count = self._number(at, range(1, 1000))
        if count and self._is(at + 1, "unit"):
            unit = self._value(at + 1, "unit") or ""
            if self._is(at + 2, "ago"):
                return (span, at + 3) if (span := self._shifted(unit, -count)) else None
            return self._last_n(at) if self._is(at + 2, "relative", "last", "past") else None
        for relative_at, unit_at in ((at, at + 1), (at + 1, at)):
            if not self._is(relative_at, "relative"):
                continue
            shift = {"past": -1, "last": -1, "this": 0, "next": 1}[self._value(relative_at, "relative") or "this"]
            if self._is(unit_at, "unit"):
                span = self._shifted(self._value(unit_at, "unit") or "", shift)
                return (span, at + 2) if span else None
            if self._is(unit_at, "weekday"):
                back = (self.today.weekday() - int(self._value(unit_at, "weekday") or 0)) % 7
                day = self.today - timedelta(back or (7 if shift else 0))
                return (Span(day, day), at + 2) if shift <= 0 else None
        if self._is(at, "unit", "year", "month", "week", "quarter") and self._is(at - 1, "start"):
            span = self._shifted(self._value(at, "unit") or "", 0)
            return (span, at + 1) if span else None
        return None

    def _last_n(self, at: int) -> Read | None:
        """Read "30 days" or "year" behind "the last" or "the past", up to today."""
        count = self._number(at, range(1, 1000))
        rolling = count is not None or self._is(at - 1, "relative", "past")
        unit_at = at + 1 if count else at
        if not rolling or not self._is(unit_at, "unit"):
            return None
        count, unit = count or 1, self._value(unit_at, "unit") or ""
        if unit in ("day", "week"):
            start = self.today - timedelta(count * (7 if unit == "week" else 1) - 1)
        else:
            months = count * {"month": 1, "quarter": 3, "half": 6, "year": 12}[unit]
            year, month = divmod(self.today.year * 12 + self.today.month - 1 - months, 12)
            last = calendar.monthrange(year, month + 1)[1]
            start = date(year, month + 1, min(self.today.day, last)) + timedelta(1)
        behind = unit_at + 1
        return Span(start, self.today), behind + self._is(behind, "relative", "last", "past")

    def _shifted(self, unit: str, shift: int) -> Span | None:
        today = self.today
        if unit == "day":
            day = today + timedelta(shift)
            return Span(day, day)
        if unit == "week":
            monday = today - timedelta(today.weekday()) + timedelta(7 * shift)
            return Span(monday, monday + timedelta(6))
        if unit == "year":
            return Span(date(today.year + shift, 1, 1), date(today.year + shift, 12, 31))
        length = _MONTHS_IN_A.get(unit, 1)
        year, month = divmod(today.year * 12 + (today.month - 1) // length * length + shift * length, 12)
        return month_span(year, month + 1, length)

    def _part(self, at: int) -> Read | None:
        """Read "Q1 2026", "the fourth quarter", "the first half of 2025", "the first week of March"."""
        unit, number = "", None
        if self._is(at, "quarter"):
            unit, number, behind = "quarter", int(self._value(at, "quarter") or 0), at + 1
        elif (self._is(at, "ordinal") or self._is(at, "relative", "last", "past")) and self._is(at + 1, "unit"):
            last = self._is(at, "relative")
            unit, behind = self._value(at + 1, "unit") or "", at + 2
            number = -1 if last else int(self._value(at, "ordinal") or 0)
        if number is None:
            return None
        if unit in ("week", "half") and (read := self._month(behind)) and read[0].start and read[0].end:
            first, last_day = read[0].start, read[0].end
            if unit == "half":
                halves = {1: (first, first.replace(day=15)), 2: (first.replace(day=16), last_day)}
                return (Span(*halves[number]), read[1]) if number in halves else None
            if number == -1:
                return Span(last_day - timedelta(6), last_day), read[1]
            start = first + timedelta(7 * (number - 1))
            return (Span(start, min(start + timedelta(6), last_day)), read[1]) if start <= last_day else None
        length = _MONTHS_IN_A.get(unit)
        if not length or not 1 <= number <= _DECEMBER // length:
            return None
        year, behind = self._year_behind(behind)
        if year is None:
            year = self.today.year - (date(self.today.year, (number - 1) * length + 1, 1) > self.today)
        return month_span(year, (number - 1) * length + 1, length), behind

    def _days(self, at: int) -> Read | None:
        if self._is(at, "day"):
            day = self.today + timedelta(int(self._value(at, "day") or 0))
            return Span(day, day), at + 1
        if self._is(at, "weekday") and self._is(at - 1, "when"):
            day = self.today - timedelta((self.today.weekday() - int(self._value(at, "weekday") or 0)) % 7)
            return Span(day, day), at + 1
        return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None

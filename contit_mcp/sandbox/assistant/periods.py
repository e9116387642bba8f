"""Periods of days, and the calendar they are counted by. Weeks begin on Monday; both ends belong to a period."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass
from typing import Literal

Unit = Literal["day", "week", "month", "quarter", "year"]
_MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Period:
    """The days from start to end, both included; None leaves a side open."""

    start: dt.date | None = None
    end: dt.date | None = None

    def full_year(self) -> int | None:
        """Return the year, if this is exactly one."""
        start, end = self.start, self.end
        if start and end and start == dt.date(start.year, 1, 1) and end == dt.date(start.year, 12, 31):
            return start.year
        return None

    def full_month(self) -> dt.date | None:
        """Return the first day of the month, if this is exactly one."""
        start, end = self.start, self.end
        return start if start and end and self == month_period(start.year, start.month) else None


def month_period(year: int, month: int, months: int = 1) -> Period:
    """Return so many whole months, from the one given."""
    last = shift_months(dt.date(year, month, 1), months - 1)
    days = calendar.monthrange(last.year, last.month)[1]
    return Period(dt.date(year, month, 1), last.replace(day=days))


def shift_months(day: dt.date, months: int) -> dt.date:
    """Return the same day so many months later, or the last of that month where there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def calendar_unit(unit: Unit, today: dt.date, steps: int) -> Period:
    """Return the whole day, week, month, quarter or year that many steps from today's (-1: the last one)."""
    if unit == "day":
        day = today + dt.timedelta(days=steps)
        return Period(day, day)
    if unit == "week":
        monday = today - dt.timedelta(days=today.weekday()) + dt.timedelta(weeks=steps)
        return Period(monday, monday + dt.timedelta(days=6))
    length = _MONTHS_IN[unit]
    first = today.replace(month=(today.month - 1) // length * length + 1, day=1)
    first = shift_months(first, steps * length)
    return month_period(first.year, first.month, length)


def trailing(unit: Unit, count: int, today: dt.date) -> Period:
    """Return the last so many days, weeks, months or years up to today, today included."""
    if unit == "day":
        start = today - dt.timedelta(days=count)
    elif unit == "week":
        start = today - dt.timedelta(weeks=count)
    else:
        start = shift_months(today, -count * _MONTHS_IN[unit])
    return Period(start + dt.timedelta(days=1), today)


def ago(unit: Unit, count: int, today: dt.date) -> Period:
    """Return the day, week, month or year that many back from today's."""
    return calendar_unit(unit, today, -count)


def last_weekday(weekday: int, today: dt.date) -> Period:
    """Return the most recent such weekday before today (Monday is 0)."""
    day = today - dt.timedelta(days=(today.weekday() - weekday - 1) % 7 + 1)
    return Period(day, day)

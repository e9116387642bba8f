"""Periods of days; both ends belong to a period."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Period:
    """The days from start to end, both included."""

    start: dt.date
    end: dt.date

    @property
    def is_one_month(self) -> bool:
        """Whether it is within one month."""
        return (self.start.year, self.start.month) == (self.end.year, self.end.month)


def whole_months(year: int, first: int, last: int) -> Period:
    """Return the months of a year from the first to the last."""
    return Period(dt.date(year, first, 1), dt.date(year, last, calendar.monthrange(year, last)[1]))

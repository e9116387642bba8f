"""Finds the dates that a question mentions, each as a period of days."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contit_mcp.sandbox.assistant.periods import (
    Period,
    ago,
    calendar_unit,
    last_weekday,
    month_period,
    shift_months,
    trailing,
)

if TYPE_CHECKING:
    import re

    from contit_mcp.sandbox.assistant.periods import Unit
    from contit_mcp.sandbox.assistant.reading.date_words import DateRule, DateWords

_WEEK = 7
_MID_MONTH = 15


@dataclass(frozen=True)
class Mention:
    """A date found in a text."""

    start: int
    end: int
    period: Period
    yearless: bool
    """Whether its year was not said, and the most recent one was taken."""

    def shifted(self, years: int) -> Period:
        """Return the same days so many years later."""
        start, end = self.period.start, self.period.end
        if not start or not end:
            return self.period
        last = shift_months(end, 12 * years)
        if self.period.full_month():
            return month_period(last.year, last.month)
        return Period(shift_months(start, 12 * years), last)


def mentions(text: str, words: DateWords, today: dt.date) -> list[Mention]:
    """Find every date in a text, in order; what looks like a date but is none (March 35) is passed over."""
    found: list[Mention] = []
    free = text
    for rule in words.rules:
        for match in rule.pattern.finditer(free):
            mention = _Reader(words, today, match).mention(rule)
            if mention:
                found.append(mention)
                free = free[: match.start()] + "@" * len(match.group()) + free[match.end() :]
    return sorted(found, key=lambda mention: mention.start)


@dataclass(frozen=True)
class _Reader:
    """Turns one match of a rule into the period it means."""

    words: DateWords
    today: dt.date
    match: re.Match[str]

    def mention(self, rule: DateRule) -> Mention | None:
        try:
            period = self._period(rule)
        except ValueError:
            return None
        dated = rule.kind not in {"steps", "trailing", "ago", "weekday"}
        return Mention(self.match.start(), self.match.end(), period, yearless=dated and self._year() is None)

    def _period(self, rule: DateRule) -> Period:
        match rule.kind:
            case "steps":
                return calendar_unit(self._unit(), self.today, rule.number)
            case "trailing":
                return trailing(self._unit(), self._count(), self.today)
            case "ago":
                return ago(self._unit(), self._count(), self.today)
            case "weekday":
                return last_weekday(int(self.words.weekdays.one(self.match["weekday"])), self.today)
            case "quarter":
                return self._recent(3 * rule.number - 2, 3)
            case "half":
                return self._recent(6 * rule.number - 5, 6)
            case "week_of_month" | "half_of_month":
                return self._part(rule)
            case _:
                return self._date(before_this_month=rule.number < 0)

    def _date(self, *, before_this_month: bool) -> Period:
        month, day = self._month(), self._group("day")
        if month is None:
            year = self._year()
            if year is None:
                raise ValueError
            return month_period(year, 1, 12)
        if day is None:
            period = self._recent(month, 1)
            year_back = before_this_month and month == self.today.month
            return month_period(self.today.year - 1, month) if year_back else period
        first = 1 if not day.isdigit() else int(day)
        last = int(self._group("day2") or first)
        year = self._year()
        if year is None:
            year = self.today.year
            if dt.date(year, month, first) > self.today:
                year -= 1
        if last < first:
            raise ValueError
        return Period(dt.date(year, month, first), dt.date(year, month, last))

    def _part(self, rule: DateRule) -> Period:
        month = self._recent(self._month() or 1, 1).full_month() or self.today
        length = calendar.monthrange(month.year, month.month)[1]
        if rule.kind == "half_of_month":
            first, last = (1, _MID_MONTH) if rule.number == 1 else (_MID_MONTH + 1, length)
            if rule.number not in {1, 2}:
                raise ValueError
        elif rule.number < 0:
            first, last = length - _WEEK + 1, length
        else:
            first, last = _WEEK * (rule.number - 1) + 1, _WEEK * rule.number
        return Period(month.replace(day=first), month.replace(day=last))

    def _recent(self, month: int, months: int) -> Period:
        """Return whole months of the year that was said, else of the most recent year they began in."""
        year = self._year()
        if year is None:
            year = self.today.year - (dt.date(self.today.year, month, 1) > self.today)
        return month_period(year, month, months)

    def _group(self, name: str) -> str | None:
        return self.match.groupdict().get(name)

    def _year(self) -> int | None:
        text = self._group("year")
        if text is None or text.isdigit():
            return int(text) if text else None
        return self.today.year + next(step for word, step in self.words.year_steps.items() if word in text)

    def _month(self) -> int | None:
        number = self._group("month_number")
        name = self._group("month")
        return int(number) if number else int(self.words.months.one(name)) if name else None

    def _unit(self) -> Unit:
        return self.words.units[(self._group("unit") or next(iter(self.words.units)))[0]]

    def _count(self) -> int:
        count = self._group("count") or "1"
        return int(count) if count.isdigit() else self.words.numbers[count]

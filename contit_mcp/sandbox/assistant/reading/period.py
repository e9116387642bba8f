"""Reads the period a question asks for: the dates it mentions, and the words around them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from contit_mcp.sandbox.assistant.periods import Period
from contit_mcp.sandbox.assistant.reading.dates import Mention, mentions

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from contit_mcp.sandbox.assistant.reading.date_words import DateWords
    from contit_mcp.sandbox.assistant.reading.sheet import Sheet

_DAY = dt.timedelta(days=1)


def read_period(sheet: Sheet, words: DateWords, today: dt.date) -> Period | None:
    """Cross out the period a question asks for and return it. A second one that does not fit is left standing."""
    found = {mention.start: mention for mention in mentions(sheet.text, words, today)}
    text = sheet.text
    for mention in found.values():
        text = text[: mention.start] + "@" * (mention.end - mention.start) + text[mention.end :]
    for pattern, join in ((words.between, _span), (words.both, _adjoining)):
        for match in pattern.finditer(text):
            one, other = (found[match.start(n)] for n, group in enumerate(match.groups(), 1) if group)
            period = join(one, other)
            if period:
                sheet.cross_out(*match.span())
                return period
    return _singles(sheet, text, found, words)


def read_unchanged(sheet: Sheet, words: DateWords, today: dt.date, not_updated: re.Pattern[str]) -> Period | None:
    """Cross out that items were not changed since a date, or in a period that lasts until today.

    Return when their last change can have been: up to that date, or before that period. Of other periods, the date of
    the last change cannot tell.
    """
    if not not_updated.search(sheet.text):
        return None
    for mention in mentions(sheet.text, words, today):
        text = sheet.text[: mention.start] + "@" * (mention.end - mention.start) + sheet.text[mention.end :]
        since = words.since.search(text)
        start, end = mention.period.start, mention.period.end
        if since and end:
            sheet.cross_out(*since.span())
            sheet.take(not_updated)
            return Period(end=end)
        if start and end and end >= today and (during := words.during.search(text)):
            sheet.cross_out(*during.span())
            sheet.take(not_updated)
            return Period(end=start - _DAY)
    return None


def _singles(sheet: Sheet, text: str, found: dict[int, Mention], words: DateWords) -> Period | None:
    """Read one date with its preposition, or two that leave different sides open ("after … and before …")."""
    sides: tuple[tuple[re.Pattern[str], Callable[[Period], Period]], ...] = (
        (words.since, lambda period: Period(start=period.start)),
        (words.after, lambda period: Period(start=period.end + _DAY if period.end else None)),
        (words.before, lambda period: Period(end=period.start - _DAY if period.start else None)),
        (words.until, lambda period: Period(end=period.end)),
        (words.during, lambda period: period),
    )
    result: Period | None = None
    for pattern, side in sides:
        for match in pattern.finditer(text):
            at = next(match.start(n) for n, group in enumerate(match.groups(), 1) if group)
            period = side(found[at].period)
            merged = period if result is None else _merged(result, period)
            if merged:
                result = merged
                sheet.cross_out(*match.span())
                text = text[: match.start()] + "·" * len(match.group()) + text[match.end() :]
    return result


def _merged(one: Period, other: Period) -> Period | None:
    if one.start and other.end and not one.end and not other.start:
        return Period(one.start, other.end)
    return None


def _span(one: Mention, other: Mention) -> Period | None:
    """Return the days from the first date to the second; a year said once holds for both."""
    begins, begins_other, ends = one.period.start, other.period.start, other.period.end
    if not (begins and begins_other and ends):
        return None
    if one.yearless and not other.yearless:
        years = begins_other.year - begins.year
        begins = one.shifted(years).start
        if begins and begins > ends:
            begins = one.shifted(years - 1).start
    elif other.yearless and begins > ends:
        ends = other.shifted(1).end
    return Period(begins, ends) if begins and ends and begins <= ends else None


def _adjoining(one: Mention, other: Mention) -> Period | None:
    """Return both dates as one period if the second begins where the first ends."""
    joined = _span(one, other)
    if not joined or not joined.start or not joined.end:
        return None
    first_end = one.shifted(joined.start.year - one.period.start.year).end if one.period.start else None
    second_start = other.period.start
    if second_start and joined.end != other.period.end:
        second_start = other.shifted(1).start
    return joined if first_end and second_start and first_end + _DAY == second_start else None

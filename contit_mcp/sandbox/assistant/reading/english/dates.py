"""How dates and periods are said in English."""

from __future__ import annotations

import re
from typing import Final

from contit_mcp.sandbox.assistant.reading.date_words import DateWords, numbered, rule
from contit_mcp.sandbox.assistant.reading.names import Names

NUMBERS: Final = {
    **numbered("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    "a": 1,
    "an": 1,
    "couple of": 2,
    "a couple of": 2,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
}

_MONTHS: Final = Names.of(
    {
        "1": "january|jan",
        "2": "february|feb",
        "3": "march|mar",
        "4": "april|apr",
        "5": "may",
        "6": "june|jun",
        "7": "july|jul",
        "8": "august|aug",
        "9": "september|sept?",
        "10": "october|oct",
        "11": "november|nov",
        "12": "december|dec",
    }
)
_WEEKDAYS: Final = Names.of(
    {
        "0": "monday",
        "1": "tuesday",
        "2": "wednesday",
        "3": "thursday",
        "4": "friday",
        "5": "saturday",
        "6": "sunday",
    }
)
_MONTH: Final = rf"(?P<month>{_MONTHS.any})\.?"
_YEAR: Final = r"(?P<year>(?:19|20)\d\d|last year|this year)"
_OF_YEAR: Final = rf"(?:,? (?:of |in )?(?:the year )?{_YEAR})?"
_DAY: Final = r"(?P<day>[0-3]?\d|first(?= of))(?:st|nd|rd|th)?"
_DAY2: Final = r"(?P<day2>[0-3]?\d)(?:st|nd|rd|th)?"
_FROM: Final = r"(?:(?:(?P<between>between)|from) )?"
_TO: Final = r"(?: ?- ?| (?:to|until|till|through|(?(between)and|to)) (?:the )?)"
"""Days joined by "and" are a span only after "between": "on March 5 and 14" names two days."""
_COUNT: Final = rf"(?P<count>\d{{1,3}}|{'|'.join(sorted(NUMBERS, key=len, reverse=True))})"
_UNIT: Final = r"(?P<unit>day|week|month|quarter|year)"
_NTH: Final = {"first|1st": 1, "second|2nd": 2, "third|3rd": 3, "fourth|4th": 4}

ENGLISH_DATES: Final = DateWords(
    months=_MONTHS,
    weekdays=_WEEKDAYS,
    units={"d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"},
    numbers=NUMBERS,
    year_steps={"last year": -1, "this year": 0},
    rules=(
        rule("date", r"(?P<year>(?:19|20)\d\d)-(?P<month_number>[01]\d)(?:-(?P<day>[0-3]\d))?"),
        *(rule("week_of_month", rf"(?:the )?(?:{w}) week of {_MONTH}{_OF_YEAR}", n) for w, n in _NTH.items()),
        rule("date", r"(?P<day>1[3-9]|2\d|3[01])[/.](?P<month_number>[01]?\d)[/.](?P<year>(?:19|20)\d\d)"),
        rule("date", r"(?P<month_number>[01]?\d)/(?P<day>1[3-9]|2\d|3[01])/(?P<year>(?:19|20)\d\d)"),
        rule("week_of_month", rf"(?:the )?last week of {_MONTH}{_OF_YEAR}", -1),
        *(rule("half_of_month", rf"(?:the )?(?:{w}) half of {_MONTH}{_OF_YEAR}", n) for w, n in _NTH.items()),
        *(rule("quarter", rf"(?:the )?(?:(?:{w}) quarter|q{n}){_OF_YEAR}", n) for w, n in _NTH.items()),
        *(rule("half", rf"(?:the )?(?:{w}) half of (?:the year )?{_YEAR}", n) for w, n in _NTH.items()),
        rule("days", rf"{_FROM}(?:the )?{_DAY}{_TO}{_DAY2} (?:of )?{_MONTH}{_OF_YEAR}"),
        rule("days", rf"{_FROM}{_MONTH} (?:the )?{_DAY}{_TO}{_DAY2}(?!\d| ?{_MONTHS.any}){_OF_YEAR}"),
        rule("date", rf"(?:the )?{_DAY} (?:of )?{_MONTH}{_OF_YEAR}"),
        rule("date", rf"{_MONTH} (?:the )?{_DAY}{_OF_YEAR}"),
        rule("date", rf"last {_MONTH}", -1),
        rule("date", rf"(?:the month of )?{_MONTH}{_OF_YEAR}"),
        rule("steps", r"(?:the )?day before yesterday", -2),
        rule("steps", r"yesterday", -1),
        rule("steps", r"today", 0),
        rule("trailing", rf"(?:the )?(?:last|past|previous) {_COUNT} {_UNIT}s?"),
        rule("trailing", rf"(?:the (?:last|past)|past) {_UNIT}"),
        rule("steps", rf"(?:the )?(?:last|previous) (?:calendar )?{_UNIT}", -1),
        rule("steps", rf"(?:this|the current) {_UNIT}", 0),
        rule("steps", rf"(?<=start of )the {_UNIT}", 0),
        rule("steps", rf"(?<=beginning of )the {_UNIT}", 0),
        rule("steps", rf"(?:the )?next {_UNIT}", 1),
        rule("ago", rf"{_COUNT} {_UNIT}s? ago"),
        rule("weekday", rf"(?:last |this |on )(?P<weekday>{_WEEKDAYS.any})"),
        rule("weekday", rf"(?<=since )(?P<weekday>{_WEEKDAYS.any})"),
        rule("date", rf"(?:the year )?{_YEAR}"),
    ),
    between=re.compile(
        r"\b(?:between|from) (?:the )?(@+),? (?:and|to|until|till|through|up to) (?:the )?(@+)"
        r"|(?:\b(?:in|during) )?(@+)(?: ?- ?| (?:to|until|till|through) )(@+)"
    ),
    both=re.compile(r"(?:\b(?:in|during|from|of) )?(@+)(?:,| and| or)(?: (?:in|during|from|of))? (@+)"),
    since=re.compile(
        r"\b(?:ever )?(?:since|starting (?:from|in|on)|as of)(?: the)?(?: (?:start|beginning) of)? (@+)"
        r"|\bfrom (@+) (?:on|onwards?|to now|until now|to today)\b"
    ),
    after=re.compile(r"\b(?:after|later than|following|newer than|more recent than)(?: the end of)? (@+)"),
    before=re.compile(r"\b(?:before|earlier than|prior to|older than)(?: the (?:start|beginning) of)? (@+)"),
    until=re.compile(r"\b(?:up until|until|till|up to|no later than|by)(?: the end of)? (@+)"),
    during=re.compile(
        r"(?:\b(?:dated|dating from|back in|from|in|on|during|of|for|within|over|throughout)(?: the)? )?(@+)"
    ),
)

"""How dates and periods are said in Italian, written without accents."""

from __future__ import annotations

import re
from typing import Final

from contit_mcp.sandbox.assistant.reading.date_words import DateWords, numbered, rule
from contit_mcp.sandbox.assistant.reading.names import Names

NUMBERS: Final = {
    **numbered("un", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove", "dieci", "undici", "dodici"),
    "uno": 1,
    "una": 1,
    "un paio di": 2,
    "quindici": 15,
    "venti": 20,
    "trenta": 30,
}

_MONTHS: Final = Names.of(
    {
        "1": "gennaio",
        "2": "febbraio",
        "3": "marzo",
        "4": "aprile",
        "5": "maggio",
        "6": "giugno",
        "7": "luglio",
        "8": "agosto",
        "9": "settembre",
        "10": "ottobre",
        "11": "novembre",
        "12": "dicembre",
    }
)
_WEEKDAYS: Final = Names.of(
    {"0": "lunedi", "1": "martedi", "2": "mercoledi", "3": "giovedi", "4": "venerdi", "5": "sabato", "6": "domenica"}
)
_MONTH: Final = rf"(?P<month>{_MONTHS.any})"
_YEAR: Final = r"(?P<year>(?:19|20)\d\d|(?:l')?anno (?:scorso|passato)|(?:lo )?scorso anno|quest'anno|anno corrente)"
_OF_YEAR: Final = rf"(?:,? (?:del |di |dell'|dello )?(?:anno )?{_YEAR})?"
_DAY: Final = r"(?:l'|il )?(?P<day>[0-3]?\d|primo)[°o]?"
_DAY2: Final = r"(?:l'|il )?(?P<day2>[0-3]?\d)"
_TO: Final = r"(?: ?- ?| (?:(?(between)e (?:il |l')?|al )|al |all'|a ))"
"""Days joined by "e" are a span only after "tra": "il 5 e il 14 marzo" are two days."""
_COUNT: Final = rf"(?P<count>\d{{1,3}}|{'|'.join(sorted(NUMBERS, key=len, reverse=True))})"
_UNIT: Final = r"(?P<unit>giorn|settiman|mes|trimestr|ann)[aeio]?"
_NTH: Final = {"prim[ao]|1[ao°ª]": 1, "second[ao]|2[ao°ª]": 2, "terz[ao]|3[ao°ª]": 3, "quart[ao]|4[ao°ª]": 4}
_ROMAN: Final = {1: "i", 2: "ii", 3: "iii", 4: "iv"}
_IN: Final = (
    r"(?:(?:datat[oiae]|risalent[ei]|nel corso|durante|per) ?)?"
    r"(?:(?:nel|nell'|nella|nello|negli|nelle|in|di|del|dell'|della|dello|degli|delle|ad?|al|all'|alla|d'))?"
)
_THE: Final = r"(?:(?:il|la|l'|lo) ?)?"

ITALIAN_DATES: Final = DateWords(
    months=_MONTHS,
    weekdays=_WEEKDAYS,
    units={"g": "day", "s": "week", "m": "month", "t": "quarter", "a": "year"},
    numbers=NUMBERS,
    year_steps={"scors": -1, "passat": -1, "quest": 0, "corrente": 0},
    rules=(
        rule("date", r"(?P<year>(?:19|20)\d\d)-(?P<month_number>[01]\d)(?:-(?P<day>[0-3]\d))?"),
        rule("date", r"(?P<day>[0-3]?\d)[/.](?P<month_number>[01]?\d)[/.](?P<year>(?:19|20)\d\d)"),
        *(rule("week_of_month", rf"(?:la )?(?:{w}) settimana di {_MONTH}{_OF_YEAR}", n) for w, n in _NTH.items()),
        rule("week_of_month", rf"(?:l')?ultima settimana di {_MONTH}{_OF_YEAR}", -1),
        *(rule("half_of_month", rf"(?:la )?(?:{w}) meta di {_MONTH}{_OF_YEAR}", n) for w, n in _NTH.items()),
        *(rule("quarter", rf"(?:il )?(?:(?:{w}|{_ROMAN[n]}) trimestre|q{n}){_OF_YEAR}", n) for w, n in _NTH.items()),
        *(
            rule("half", rf"(?:la |il )?(?:(?:{w}) (?:meta|semestre)) (?:del |dell'|dello )?(?:anno )?{_YEAR}", n)
            for w, n in _NTH.items()
        ),
        rule("days", rf"(?:(?:(?P<between>tra|fra)|dal|dall'|da) ?)?{_DAY}{_TO}{_DAY2} (?:di )?{_MONTH}{_OF_YEAR}"),
        rule("date", rf"{_DAY} (?:di )?{_MONTH}{_OF_YEAR}"),
        rule("date", rf"(?:lo )?scorso {_MONTH}", -1),
        rule("date", rf"{_MONTH} (?:scorso|passato)", -1),
        rule("date", rf"(?:il )?(?:mese di )?{_MONTH}{_OF_YEAR}"),
        rule("steps", r"(?:l')?altro ieri|(?:l')?altroieri|avantieri", -2),
        rule("steps", r"ieri", -1),
        rule("steps", r"oggi", 0),
        rule("trailing", rf"(?:gli |le |i )?(?:ultim[ie]|scors[ie]|passat[ie]) {_COUNT} {_UNIT}"),
        rule("trailing", rf"(?:gli |le |i )?{_COUNT} (?:ultim[ie]|scors[ie]) {_UNIT}"),
        rule("trailing", rf"{_COUNT} {_UNIT} (?:scors[ie]|passat[ie])"),
        rule("trailing", rf"(?:l')?ultim[oa] {_UNIT}"),
        rule("steps", rf"{_THE}{_UNIT} (?:scors[oa]|passat[oa]|precedente)", -1),
        rule("steps", rf"{_THE}(?:scors[oa]|passat[oa]) {_UNIT}", -1),
        rule("steps", r"(?<=inizio dell')(?P<unit>ann)o", 0),
        rule("steps", r"(?<=inizio del )(?P<unit>mes)e", 0),
        rule("steps", rf"(?:quest[oa] |quest'){_UNIT}", 0),
        rule("steps", rf"{_THE}{_UNIT} (?:corrente|in corso)", 0),
        rule("steps", rf"{_THE}prossim[oa] {_UNIT}", 1),
        rule("steps", rf"{_THE}{_UNIT} prossim[oa]", 1),
        rule("ago", rf"{_COUNT} {_UNIT} fa"),
        rule("weekday", rf"(?:lo )?scors[oa] (?P<weekday>{_WEEKDAYS.any})"),
        rule("weekday", rf"(?P<weekday>{_WEEKDAYS.any}) scors[oa]"),
        rule("weekday", rf"(?<=da )(?P<weekday>{_WEEKDAYS.any})"),
        rule("date", rf"(?:l'anno |il )?{_YEAR}"),
    ),
    between=re.compile(
        rf"\b(?:tra|fra) {_THE}(@+) e {_THE}(@+)"
        rf"|\b(?:da|dal|dall'|dalla|dallo) ?{_THE}(@+) (?:fino )?(?:a|al|all'|alla|allo) ?{_THE}(@+)"
        r"|(@+) ?- ?(@+)"
    ),
    both=re.compile(rf"(?:\b{_IN} ?)?{_THE}(@+)(?:,| e| o)(?: {_IN})? ?{_THE}(@+)"),
    since=re.compile(
        rf"\b(?:a partire )?(?:dall'inizio (?:di|dell'|del)|dalla|dallo|dall'|dal|da) ?{_THE}(@+)"
        r"(?: (?:in poi|in avanti|a oggi|ad oggi|fino a oggi|fino ad oggi))?"
    ),
    after=re.compile(
        rf"\b(?:dopo(?: la fine (?:di|del|dell'))?|piu recent[ei] (?:di|del|dell')|successiv[oiae] (?:a|al|all')) ?{_THE}(@+)"
    ),
    before=re.compile(
        rf"\b(?:(?:prima|piu vecch[ioaeh]+|piu antic[oaihe]+) (?:di|del|dell'|della|dello)|antecedent[ei] (?:a|al|all')|precedent[ei] (?:a|al|all'|alla|allo)) ?{_THE}(@+)"
    ),
    until=re.compile(
        rf"\b(?:fino (?:a|al|all'|alla|allo)(?: fine (?:di|del|dell'))?|entro(?: la fine (?:di|del|dell'))?)"
        rf" ?{_THE}(@+)"
    ),
    during=re.compile(rf"(?:\b{_IN} ?)?{_THE}(@+)"),
)

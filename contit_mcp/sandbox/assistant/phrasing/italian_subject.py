"""Says in Italian which items a query means: every condition of it, with the right endings."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.phrasing.english_subject import joined
from contit_mcp.sandbox.assistant.workspace import load_workspace

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.periods import Period
    from contit_mcp.sandbox.assistant.query import Choice, Dimension, PriceRange, Query

MONTHS: Final = (
    "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno",
    "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre",
)  # fmt: skip
LANGUAGES: Final = {"en": "inglese", "it": "italiano", "de": "tedesco"}
TYPES: Final = {"Article": ("articolo", "articoli"), "Product": ("prodotto", "prodotti"), "Page": ("pagina", "pagine")}
CATEGORIES: Final = {
    "accessories": ("accessorio", "accessori"),
    "backpacks": ("zaino", "zaini"),
    "boots": ("paio di scarpe o scarponi", "scarpe e scarponi"),
    "jackets": ("giacca", "giacche"),
    "sleeping-bags": ("sacco a pelo", "sacchi a pelo"),
    "tents": ("tenda", "tende"),
}
_FEMININE: Final = frozenset({"Page", "jackets", "tents"})
_ENDINGS: Final = {(False, True): "o", (False, False): "i", (True, True): "a", (True, False): "e"}
_DATED: Final = {"published": "pubblicat", "updated": "modificat", "created": "creat"}
_ELIDED: Final = frozenset({8, 11})


def subject(query: Query, count: int, superlative: str = "") -> str:
    """Say which items are meant, without their number."""
    said = conditions(query, count)
    state = {"Draft": "in bozza", "Published": ending("pubblicat", query, count)}.get(query.state or "", "")
    if any(part.startswith("pubblicat") for part in said):
        state = ""
    return " ".join(part for part in (noun(query, count), state, superlative, *said) if part)


def the(query: Query, count: int) -> str:
    """Return the article, capitalised, that goes before the noun or, with several, before their number."""
    if count > 1:
        return "Le " if feminine(query) else "Gli " if count in _ELIDED else "I "
    word = noun(query, 1)
    if word[0] in "aeiou":
        return "L'"
    return "La " if feminine(query) else "Lo " if word[0] == "z" else "Il "


def noun(query: Query, count: int) -> str:
    """Say what kind of items they are."""
    one = count == 1
    if query.categories:
        return joined((CATEGORIES[name][not one] for name in query.categories), "o" if one else "e")
    if query.types:
        return joined((TYPES[name][not one] for name in query.types), "o" if one else "e")
    return "contenuto" if one else "contenuti"


def feminine(query: Query) -> bool:
    """Whether the noun is feminine; a mixed company is masculine."""
    return set(query.categories or query.types or ("Article",)) <= _FEMININE


def ending(stem: str, query: Query, count: int) -> str:
    """Put the ending on a participle or adjective that goes with the noun."""
    return stem + _ENDINGS[feminine(query), count == 1]


def conditions(query: Query, count: int) -> list[str]:
    """Say every condition but state and kind."""
    named = {name: f"«{label['it']}»" for name, label in load_workspace().tags.items()}
    parts = []
    if query.authors:
        parts.append(f"di {joined(query.authors, 'o')}")
    if query.not_authors:
        parts.append(f"non di {joined(query.not_authors, 'o')}")
    if query.tags:
        parts.append(f"con il tag {_chosen(query.tags, named)}")
    if query.not_tags:
        but = "ma non" if query.tags else "senza il tag"
        parts.append(f"{but} {joined((named[tag] for tag in query.not_tags), 'o')}")
    if query.words:
        parts.append(f"che menzionano {_chosen(query.words, {word: f'«{word}»' for word in query.words.values})}")
    if query.title_words:
        parts.append(f"con {joined((f'«{word}»' for word in query.title_words), 'e')} nel titolo")
    if query.locales:
        parts.append(f"disponibili in {_chosen(query.locales, LANGUAGES)}")
    if query.only_locale:
        parts.append(f"disponibili solo in {LANGUAGES[query.only_locale]}")
    if query.not_locales:
        but = "ma non" if query.locales else "non disponibili"
        parts.append(f"{but} in {joined((LANGUAGES[name] for name in query.not_locales), 'o')}")
    if query.price:
        parts.append(_priced(query.price))
    if query.period:
        parts.append(_dated(query, query.period, count))
    if query.within is not None:
        parts.append("tra quelli elencati")
    if count == 1:
        parts = [
            part.replace("disponibili ", "disponibile ").replace("che menzionano", "che menziona") for part in parts
        ]
    return parts


def day_words(day: dt.date, *, year: bool = True) -> str:
    """Say a day."""
    number = "1º" if day.day == 1 else str(day.day)
    return f"{number} {MONTHS[day.month - 1]}" + (f" {day.year}" if year else "")


def the_day(day: dt.date) -> str:
    """Say a day with its article."""
    return f"l'{day_words(day)}" if day.day in _ELIDED else f"il {day_words(day)}"


def of_the_day(day: dt.date, word: str) -> str:
    """Say a day after a preposition that grows together with the article: da, a."""
    elided = day.day in _ELIDED
    return f"{word}{'ll' if elided else 'l'}{chr(39) if elided else ' '}{day_words(day)}"


def value_words(dimension: Dimension, value: str) -> str:
    """Say one value of a dimension."""
    match dimension:
        case "type":
            return TYPES[value][1]
        case "state":
            return "in bozza" if value == "Draft" else "pubblicati"
        case "tag":
            return load_workspace().tags[value]["it"]
        case "locale":
            return LANGUAGES[value]
        case "category":
            return CATEGORIES[value][1]
        case "month":
            return f"{MONTHS[int(value[5:]) - 1]} {value[:4]}"
        case _:
            return value


def money_words(amount: float) -> str:
    """Say a price."""
    return f"{amount:,.2f} €".replace(",", " ").replace(".", ",")


def _chosen(choice: Choice, names: dict[str, str]) -> str:
    return joined((names[value] for value in choice.values), "e" if choice.every else "o")


def _priced(price: PriceRange) -> str:
    low = money_words(price.low) if price.low is not None else ""
    high = money_words(price.high) if price.high is not None else ""
    if low and low == high:
        return f"al prezzo di {low}"
    if low and high:
        return f"con un prezzo tra {low} e {high}"
    if low:
        return f"{'da almeno' if price.low_inside else 'da più di'} {low}"
    return f"{'fino a' if price.high_inside else 'sotto i'} {high}"


def _dated(query: Query, period: Period, count: int) -> str:
    whole = _whole(period)
    default = "published" if query.state == "Published" else "updated" if query.state == "Draft" else None
    field = query.date_field or default
    if whole and field in {"published", None}:
        return f"{'del' if whole.isdigit() else 'di'} {whole}"
    verb = ending(_DATED[field] if field else "datat", query, count)
    if period.start and period.start == period.end:
        return f"{verb} {the_day(period.start)}"
    if whole:
        return f"{verb} {'nel' if whole.isdigit() else 'a'} {whole}"
    if period.start and period.end:
        return f"{verb} tra {the_day(period.start)} e {the_day(period.end)}"
    if period.start:
        return f"{verb} {of_the_day(period.start, 'da')} in poi"
    return f"{verb} fino {of_the_day(period.end or dt.date.max, 'a')}"


def _whole(period: Period) -> str | None:
    year, month = period.full_year(), period.full_month()
    if month:
        return f"{MONTHS[month.month - 1]} {month.year}"
    return str(year) if year else None

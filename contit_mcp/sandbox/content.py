"""The content that the sandbox answers about: the sample workspace, or the user's own JSON, JSON lines or CSV."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from contit_mcp.sandbox.options import DataError, parse_json, read_text

SAMPLE: Final = Path(__file__).parent / "data"
MAX_ITEMS: Final = 20_000
_SHORT: Final = 40  # characters of a value that can be filtered by; longer texts are searched
_MOST_VALUES: Final = 100

# The names under which exports keep what every item has, in lower case without separators.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "_id", "guid", "uuid", "slug"),
    "type": ("contenttype", "type", "model", "schema"),
    "state": ("state", "status", "workflowstate"),
    "title": ("title", "name", "headline", "heading", "label", "subject"),
    "author": ("author", "authors", "authorname", "writer", "createdby", "owner", "byline"),
    "tag": ("tags", "tag", "labels", "keywords", "topics"),
    "locale": ("locale", "locales", "language", "languages", "lang"),
    "published": ("publishdate", "publishedat", "publisheddate", "publishedon", "datepublished", "published", "date"),
    "created": ("createdat", "created", "createddate", "createdon"),
    "updated": ("updatedat", "updated", "modifiedat", "modified", "lastmodified", "updatedon"),
}
_STATES: Final = {"live": "Published", "true": "Published", "unpublished": "Draft", "false": "Draft"}
_LOCALE: Final = re.compile(r"[a-z]{2}(?:[-_][A-Za-z]{2})?")
_LOCALE_COLUMN: Final = re.compile(r"(.+)[._]([a-z]{2})")
_PRICE: Final = re.compile(r"(?i).*(?:price|cost|fee)")


@dataclass(frozen=True)
class Item:
    """One content item, whatever its type."""

    id: str
    facets: dict[str, tuple[str, ...]]  # type, state, author, tag, locale, and further fields with few short values
    numbers: dict[str, float]
    dates: dict[str, datetime]  # created, updated, published and others, if known; a draft has no date of publication
    titles: dict[str, str]  # by locale, as the texts
    texts: dict[str, str]  # everything that is searched beside the title

    @property
    def type(self) -> str:
        """The content type."""
        return self.facets["type"][0]

    def date(self, name: str) -> datetime | None:
        """Return a date; "date" is the publication, else the last change, else the creation."""
        names = ("published", "updated", "created") if name == "date" else (name,)
        return next((self.dates[one] for one in names if one in self.dates), None)

    def locale(self, wanted: str) -> str:
        """Return the locale that the item is shown in: the wanted one, else English, else the first."""
        return next((one for one in (wanted, "en") if one in self.titles), next(iter(self.titles)))

    def title(self, locale: str) -> str:
        """Return the title in a locale, else in another."""
        return self.titles[self.locale(locale)]


class Workspace:
    """All content, and its fields."""

    def __init__(self, items: Iterable[Item], units: dict[str, str] | None = None) -> None:
        self.items = tuple(items)
        self.units = units or {}  # by field: the price is in "€"
        self.facets: dict[str, dict[str, None]] = {}  # the values of each, in the order of the items
        for item in self.items:
            for name, values in item.facets.items():
                self.facets.setdefault(name, {}).update(dict.fromkeys(values))
        self.numbers = {name for item in self.items for name in item.numbers}
        self.dates = {name for item in self.items for name in item.dates}


def load_workspace(path: Path = SAMPLE) -> Workspace:
    """Read the content of a folder or file. Raises DataError."""
    suffixes = (".json", ".jsonl", ".ndjson", ".csv")
    files = sorted(one for one in path.iterdir() if one.suffix in suffixes) if path.is_dir() else [path]
    units: dict[str, str] = {}
    records: list[tuple[str, str, dict[str, Any]]] = []
    for file in files:
        content = _read(file)
        if isinstance(content, dict) and "contentTypes" in content:
            units = content.get("units", {})
        else:
            records += _records(file, content)
    if not 0 < len(records) <= MAX_ITEMS:
        raise DataError(f"{path}: there are {len(records):,} content items in it, not 1 to {MAX_ITEMS:,}")
    facets = _facets([record for _, _, record in records])
    items: dict[str, Item] = {}
    for place, kind, record in records:
        item = _item(place, kind, record, facets)
        if item.id in items:
            raise DataError(f"{place}: another item has the id {item.id!r}")
        items[item.id] = item
    return Workspace(items.values(), units)


def _read(file: Path) -> Any:
    """Return the value in a JSON file, or the rows or lines of another file."""
    found: list[Any] = []
    try:
        text = read_text(file)
        if file.suffix == ".json":
            return parse_json(text)
        lines = text.splitlines(keepends=True)
        table = file.suffix == ".csv"
        rows: Iterable[Any] = csv.DictReader(lines, strict=True) if table else map(parse_json, filter(str.strip, lines))
        for row in rows:
            if table and (None in row or None in row.values()):
                raise ValueError("the row does not have as many values as the header")  # noqa: TRY301 - told with the file
            found.append(row)
    except (OSError, ValueError, RecursionError, csv.Error) as exc:
        place = "" if file.suffix == ".json" else f", record {len(found) + 1}"
        raise DataError(f"{file}{place}: {exc}") from exc
    return found


def _records(file: Path, content: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Return each record with its place, for messages, and the type that it has if it names none."""
    groups = {file.stem: content}
    if isinstance(content, dict):
        groups = {name: value for name, value in content.items() if isinstance(value, list)} or {file.stem: [content]}
    found = []
    for name, records in groups.items():
        kind = "Item" if name in ("items", "contents", "data", "entries") else name[:1].upper() + name[1:]
        kind = re.sub("(?<=[^aeiou])ies$", "y", kind) if kind.endswith("ies") else kind.removesuffix("s")
        for number, record in enumerate(records if isinstance(records, list) else [records], 1):
            place = f"{file}, record {number}" + (f" of {name}" if len(groups) > 1 else "")
            if not isinstance(record, dict):
                raise DataError(f"{place}: a record is an object with fields, not {type(record).__name__}")
            found.append((place, kind, _flat(record)))
    return found


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record, nested ones under their own name; values by locale stay together."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        column = _LOCALE_COLUMN.fullmatch(name)
        if isinstance(value, dict) and value and not all(_LOCALE.fullmatch(key) for key in value):
            flat |= {name: value["name"]} if isinstance(value.get("name"), str) else _flat(value)
        elif column and isinstance(value, str):
            flat.setdefault(column[1], {})[column[2]] = value
        else:
            flat["price" if _PRICE.fullmatch(name) and _number(value) is not None else name] = value
    return {name: value for name, value in flat.items() if value not in (None, "", [], {})}


def _facets(records: list[dict[str, Any]]) -> list[str]:
    """Return the fields with few short values, which can be filtered by."""
    values: dict[str, set[str]] = {}
    unfit = {name for record in records for name in record if _plain(name) in {"text", *chain(*_NAMES.values())}}
    for record in records:
        for name, value in record.items():
            values.setdefault(name, set()).update(_texts(value))
            if isinstance(value, dict) or _number(value) is not None or _day(value):
                unfit.add(name)
    most = min(_MOST_VALUES, max(12, len(records) // 3))
    few = {name: found for name, found in values.items() if name not in unfit and len(found) <= most}
    return [name for name, found in few.items() if all(len(one) <= _SHORT for one in found)]


def _item(place: str, kind: str, record: dict[str, Any], facet_names: list[str]) -> Item:
    plain = {_plain(name): name for name in reversed(record)}
    used = {meaning: plain[one] for meaning, names in _NAMES.items() for one in reversed(names) if one in plain}
    known = {meaning: record[name] for meaning, name in used.items()}
    codes = tuple(code[:2].lower() for code in _texts(known.get("locale"))) or ("en",)
    titles = known.get("title")
    titles = titles if isinstance(titles, dict) else {codes[0]: str(titles or "")}
    titles = {code: title for code, title in titles.items() if isinstance(title, str) and title.strip()}
    if not titles:
        raise DataError(f"{place}: the item has no title; one of {', '.join(_NAMES['title'])} must be text")
    dates: dict[str, datetime] = {}
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in record.items():
        meaning = next((one for one, own in used.items() if own == name), name)
        if day := _day(value):
            dates[meaning] = day
        elif meaning in ("created", "updated", "published") and str(value).lower() not in _STATES:
            raise DataError(f"{place}: {name} is not a date such as 2026-03-14 or 2026-03-14T09:00:00Z")
        elif meaning in _NAMES or name in facet_names:
            continue
        elif (number := _number(value)) is not None:
            numbers[name] = number
        else:
            for code, text in (value if isinstance(value, dict) else {next(iter(titles)): value}).items():
                said = text if isinstance(text, str) else " ".join(_texts(text))
                texts[code] = f"{texts.get(code, '')} {said}".strip()
    state = str(known.get("state", known.get("published", "")))
    state = "Published" if "state" not in known and "published" in dates else state or "Draft"
    state = _STATES.get(state.lower(), state[:1].upper() + state[1:])
    if state == "Draft":
        dates.pop("published", None)
    facets = {name: _texts(record[name]) for name in facet_names if name in record} | {
        "type": (str(known.get("type", kind)),),
        "state": (state,),
        "author": _texts(known.get("author")),
        "tag": _texts(known.get("tag")),
        "locale": tuple(titles) if isinstance(known["title"], dict) else codes,
    }
    return Item(str(known.get("id", place)), facets, numbers, dates, titles, texts)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _texts(value: Any) -> tuple[str, ...]:
    """Return a value as texts: a list, or a short text with separators, as several."""
    if isinstance(value, str):
        value = re.split(r"\s*[,;|]\s*", value) if len(value) <= _SHORT * 3 else [value]
    values = value if isinstance(value, list) else [] if value is None else [value]
    named = (one.get("name", "") if isinstance(one, dict) else one for one in values)
    return tuple(dict.fromkeys(str(one).strip() for one in named if str(one).strip()))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    return float(value) if re.fullmatch(r"-?\d{1,12}(?:\.\d{1,9})?", str(value)) else None


def _day(value: Any) -> datetime | None:
    try:
        day = datetime.fromisoformat(value) if re.match(r"\d{4}-\d\d-\d\d", value) else None
    except (TypeError, ValueError):
        return None
    return day.replace(tzinfo=day.tzinfo or UTC) if day else None

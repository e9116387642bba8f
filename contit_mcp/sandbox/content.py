"""The content that the sandbox answers about: the sample workspace, or the user's own JSON, JSON lines or CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from contit_mcp.sandbox.text import words

SAMPLE: Final = Path(__file__).parent / "data"
"""The folder of the sample workspace."""

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_ITEMS: Final = 20_000
_MAX_FACET_CHARACTERS: Final = 40
_MAX_FACET_VALUES: Final = 100
_MAX_FILES: Final = 200

_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "_id", "guid", "uuid", "key", "slug"),
    "type": ("contenttype", "type", "model", "schema", "kind"),
    "state": ("state", "status", "workflowstate", "publicationstate"),
    "title": ("title", "name", "headline", "heading", "label", "subject"),
    "author": ("author", "authors", "authorname", "writer", "writtenby", "createdby", "editor", "owner", "byline"),
    "tag": ("tags", "tag", "labels", "keywords", "topics"),
    "locale": ("locale", "locales", "language", "languages", "lang"),
    "published": ("publishdate", "publishedat", "publisheddate", "publishedon", "published", "datepublished", "date"),
    "created": ("createdat", "created", "createddate", "createdon", "datecreated"),
    "updated": ("updatedat", "updated", "modifiedat", "modified", "lastmodified", "updateddate", "updatedon"),
}
"""The names under which exports of content keep what every item has, in lower case without separators."""

_STATES: Final = {
    "published": "Published", "live": "Published", "public": "Published", "true": "Published", "1": "Published",
    "draft": "Draft", "unpublished": "Draft", "false": "Draft", "0": "Draft",
}  # fmt: skip
_LOCALE: Final = re.compile(r"[a-z]{2}(?:[-_][A-Za-z]{2})?")
_LOCALE_COLUMN: Final = re.compile(r"(.+?)[._:\-\[]([a-z]{2})\]?")


class DataError(ValueError):
    """The content cannot be read; the message names the file and the record."""


@dataclass(frozen=True)
class Item:
    """One content item, whatever its type."""

    id: str
    facets: dict[str, tuple[str, ...]]
    """type, state, author, tag, locale, and each further field with few short values, such as category."""
    numbers: dict[str, float]
    dates: dict[str, datetime]
    """created, updated and published, as far as they are known; a draft has no published."""
    titles: dict[str, str]
    texts: dict[str, str]
    """By locale: everything that is searched beside the title."""

    @property
    def type(self) -> str:
        """The content type."""
        return self.facets["type"][0]

    @property
    def state(self) -> str:
        """Published, Draft, or the data's own word."""
        return self.facets["state"][0]

    @property
    def date(self) -> datetime | None:
        """The date of the item: its publication, else its last change, else its creation."""
        known = (self.dates.get(name) for name in ("published", "updated", "created"))
        return next((day for day in known if day), None)

    def title(self, locale: str) -> str:
        """Return the title in a locale, else in English, else in any."""
        return self.titles.get(locale) or self.titles.get("en") or next(iter(self.titles.values()))

    def text(self, locale: str) -> str:
        """Return the text in the locale of the title that `title` returns."""
        shown = next((code for code, title in self.titles.items() if title == self.title(locale)), locale)
        return self.texts.get(shown, "")


@dataclass(frozen=True)
class Workspace:
    """All content, and what is known about its values."""

    items: tuple[Item, ...]
    names: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Names of a facet's values by locale: names["tag"]["food"]["it"] is "cucina"."""
    units: dict[str, str] = field(default_factory=dict)
    """The sign of a number's unit: units["price"] is "€"."""

    def values(self, facet: str) -> Counter[str]:
        """Count the values of a facet."""
        return Counter(value for item in self.items for value in item.facets.get(facet, ()))

    @cached_property
    def facets(self) -> tuple[str, ...]:
        """The facets that any item has."""
        return tuple(dict.fromkeys(name for item in self.items for name in item.facets))

    @cached_property
    def number_fields(self) -> tuple[str, ...]:
        """The number fields that any item has."""
        return tuple(dict.fromkeys(name for item in self.items for name in item.numbers))

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every folded word of every title and text."""
        texts = (text for item in self.items for source in (item.titles, item.texts) for text in source.values())
        return frozenset(word.folded for text in texts for word in words(text, ()))

    def name(self, facet: str, value: str, locale: str) -> str:
        """Return the name of a value in a locale, or the value."""
        return self.names.get(facet, {}).get(value, {}).get(locale, value)


def load_workspace(path: Path = SAMPLE) -> Workspace:
    """Read the content of a folder or file. Raises DataError."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _READERS and file.is_file())
    else:
        files = [path]
    if not files or len(files) > _MAX_FILES:
        msg = f"{path}: the folder has {len(files)} files of JSON, JSON lines or CSV, not 1 to {_MAX_FILES}"
        raise DataError(msg)
    described: dict[str, Any] = {}
    records: list[tuple[str, str, dict[str, Any]]] = []
    for file in files:
        content = _read(file)
        if file.stem == "workspace" and isinstance(content, dict) and not _records_in(content):
            described = content
            continue
        for place, default_type, record in _records(file, content):
            if len(records) == MAX_ITEMS:
                msg = f"{place}: the sandbox holds {MAX_ITEMS:,} items at most"
                raise DataError(msg)
            records.append((place, default_type, record))
    if not records:
        msg = f"{path}: there is no content item in it"
        raise DataError(msg)
    default_locale = _default_locale(described)
    flat = [(place, kind, _flat(record)) for place, kind, record in records]
    facets = _facet_fields([fields for _, _, fields in flat])
    items = [_item(place, kind, fields, facets, default_locale) for place, kind, fields in flat]
    for (place, _, _), twin in zip(flat, _repeated(items), strict=True):
        if twin:
            msg = f"{place}: another item has the same id"
            raise DataError(msg)
    named = {"tag": described.get("tags"), "category": described.get("categories")}
    units = described.get("units")
    return Workspace(
        tuple(items),
        {facet: values for facet, values in named.items() if isinstance(values, dict)},
        units if isinstance(units, dict) else {},
    )


def _read(file: Path) -> Any:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            msg = f"{file}: the file is over {MAX_FILE_BYTES // 1024 // 1024} MB"
            raise DataError(msg)
        return _READERS.get(file.suffix.lower(), _read_json)(file, file.read_text("utf-8-sig"))
    except UnicodeDecodeError as exc:
        msg = f"{file}: the file is not UTF-8 text"
        raise DataError(msg) from exc
    except OSError as exc:
        msg = f"{file}: the file cannot be read: {exc.strerror or type(exc).__name__}"
        raise DataError(msg) from exc


def _read_json(file: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        line = f", line {exc.lineno}" if isinstance(exc, json.JSONDecodeError) else ""
        msg = f"{file}{line}: this is not JSON"
        raise DataError(msg) from exc


def _read_json_lines(file: Path, text: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError) as exc:
                msg = f"{file}, record {number}: the line is not JSON"
                raise DataError(msg) from exc
    return found


def _read_csv(file: Path, text: str) -> list[Any]:
    try:
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as exc:
        msg = f"{file}: this is not CSV: {exc}"
        raise DataError(msg) from exc
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            msg = f"{file}, record {number}: the row has not as many values as the header"
            raise DataError(msg)
    return rows


_READERS: Final = {
    ".json": _read_json, ".jsonl": _read_json_lines, ".ndjson": _read_json_lines, ".csv": _read_csv,
}  # fmt: skip


def _records_in(content: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the lists of records of an object, by name: {"items": […]} or {"recipes": […], "events": […]}."""
    lists = {name: value for name, value in content.items() if isinstance(value, list) and value}
    return {name: value for name, value in lists.items() if any(_has_title(record) for record in value)}


def _has_title(record: Any) -> bool:
    return isinstance(record, dict) and any(_plain(name) in _NAMES["title"] for name in _flat(record)) and len(record) > 3


def _records(file: Path, content: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Return each record with its place, for messages, and the type it has if it names none."""
    groups: dict[str, list[Any]]
    if isinstance(content, list):
        groups = {file.stem: content}
    elif isinstance(content, dict):
        groups = _records_in(content)
        if not groups:
            groups = {file.stem: [content]}
    else:
        groups = {file.stem: [content]}
    found = []
    for name, records in groups.items():
        for number, record in enumerate(records, 1):
            place = f"{file}, record {number}" + (f" of {name}" if len(groups) > 1 else "")
            if not isinstance(record, dict):
                msg = f"{place}: a record is an object with fields, not {type(record).__name__}"
                raise DataError(msg)
            generic = name in {"items", "content", "contents", "data", "entries", "records", "export"}
            found.append((place, "Item" if generic else _singular(name), record))
    return found


def _singular(name: str) -> str:
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("ss", "ss"), ("s", "")):
        if name.endswith(ending):
            name = name.removesuffix(ending) + replacement
            break
    return name[:1].upper() + name[1:]


def _default_locale(described: dict[str, Any]) -> str:
    locales = described.get("locales")
    for locale in locales if isinstance(locales, list) else []:
        if isinstance(locale, dict) and locale.get("default") and isinstance(locale.get("code"), str):
            return str(locale["code"])
    return "en"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record, nested ones under their own name; values by locale stay together."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        column = _LOCALE_COLUMN.fullmatch(str(name))
        if isinstance(value, dict) and value and not all(_LOCALE.fullmatch(str(key)) for key in value):
            named = value.get("name") or value.get("title") or value.get("label")
            if isinstance(named, str):
                flat[name] = named
            else:
                flat |= {key: inner for key, inner in _flat(value).items() if key not in record}
        elif column and isinstance(value, str):
            if value.strip():
                flat.setdefault(column[1], {})[column[2]] = value
        else:
            flat[str(name)] = value
    return flat


def _facet_fields(records: list[dict[str, Any]]) -> frozenset[str]:
    """Return the fields with few short values, which can be filtered and grouped by."""
    known = {name for names in _NAMES.values() for name in names}
    values: dict[str, set[str]] = {}
    unfit: set[str] = set()
    for record in records:
        for name, value in record.items():
            found = value if isinstance(value, list) else [value]
            short = [one for one in found if isinstance(one, (str, bool)) and len(str(one)) <= _MAX_FACET_CHARACTERS]
            if value in (None, "", []):
                continue
            if len(short) < len(found) or _plain(name) in known or _number(value) is not None or _day(value):
                unfit.add(name)
            values.setdefault(name, set()).update(str(one) for one in short)
    few = max(12, min(_MAX_FACET_VALUES, len(records) // 3))
    return frozenset(name for name, found in values.items() if name not in unfit and len(found) <= few)


def _item(place: str, kind: str, fields: dict[str, Any], facet_fields: frozenset[str], default_locale: str) -> Item:
    known: dict[str, Any] = {}
    used: set[str] = set()
    plain = {_plain(name): name for name in reversed(fields)}
    for meaning, names in _NAMES.items():
        for name in names:
            value = fields.get(plain.get(name, ""))
            if value not in (None, "", [], {}) and plain[name] not in used:
                known[meaning] = value
                used.add(plain[name])
                break
    titles = _by_locale(known.get("title"), _codes(known.get("locale"), default_locale)[0])
    if not titles:
        msg = f"{place}: the item has no title; one of {', '.join(_NAMES['title'])} must be text"
        raise DataError(msg)
    dates: dict[str, datetime] = {}
    for name in ("created", "updated", "published"):
        if name in known and not isinstance(known[name], bool) and str(known[name]).lower() not in _STATES:
            if (day := _day(known[name])) is None:
                msg = f"{place}: {name} is not a date such as 2026-03-14 or 2026-03-14T09:00:00Z"
                raise DataError(msg)
            dates[name] = day
    state = _state(known, dates)
    if state == "Draft":
        dates.pop("published", None)
    locale = next(iter(titles))
    texts = {code: [""] for code in titles}
    facets = {name: _texts(fields[name]) for name in facet_fields if name in fields}
    numbers: dict[str, float] = {}
    for name, value in fields.items():
        if name in used or name in facet_fields:
            continue
        if (number := _number(value)) is not None:
            numbers[name] = number
        elif isinstance(value, dict):
            for code, text in _by_locale(value, locale).items():
                texts.setdefault(code, [""]).append(text)
        elif value is not None and not _day(value):
            texts[locale].extend([value] if isinstance(value, str) else _texts(value))
    facets |= {
        "type": _texts(known.get("type", kind))[:1] or (kind,),
        "state": (state,),
        "author": _texts(known.get("author", ())),
        "tag": _texts(known.get("tag", ())),
        "locale": tuple(titles) if len(titles) > 1 else _codes(known.get("locale"), locale),
    }
    ident = str(known.get("id") or f"{place}: {titles[locale]}")
    return Item(ident, facets, numbers, dates, titles, {code: " ".join(parts).strip() for code, parts in texts.items()})


def _by_locale(value: Any, default: str) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(code): text for code, text in value.items() if isinstance(text, str) and text.strip()}
    return {default: value} if isinstance(value, str) and value.strip() else {}


def _codes(value: Any, default: str) -> tuple[str, ...]:
    return tuple(code.lower()[:2] for code in _texts(value)) or (default,)


def _state(known: dict[str, Any], dates: dict[str, datetime]) -> str:
    value = known.get("state", known.get("published"))
    if isinstance(value, (str, bool)) and str(value).lower() in _STATES:
        return _STATES[str(value).lower()]
    if "state" in known:
        return str(known["state"])
    return "Published" if "published" in dates or not dates else "Draft"


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = re.split(r"\s*[,;|]\s*", value) if len(value) <= _MAX_FACET_CHARACTERS * 5 else [value]
    elif isinstance(value, dict):
        value = list(value.values())
    elif not isinstance(value, (list, tuple)):
        value = [] if value is None else [value]
    named = (one.get("name") or one.get("title") or "" if isinstance(one, dict) else one for one in value)
    return tuple(dict.fromkeys(str(one).strip() for one in named if one is not None and str(one).strip()))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not re.fullmatch(r"-?\d{1,12}(?:\.\d{1,6})?", value):
        return None
    return float(value)


def _day(value: Any) -> datetime | None:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        return None
    try:
        day = datetime.fromisoformat(value)
    except ValueError:
        try:
            day = datetime.combine(date.fromisoformat(value[:10]), datetime.min.time())
        except ValueError:
            return None
    return day if day.tzinfo else day.replace(tzinfo=UTC)


def _repeated(items: list[Item]) -> list[bool]:
    seen: set[str] = set()
    return [item.id in seen or bool(seen.add(item.id)) for item in items]  # type: ignore[func-returns-value]

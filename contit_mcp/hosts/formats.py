"""How an entry gets into the text of a host's file and out again: TOML by tomlkit, YAML by ruamel.yaml, JSON here.

An edit of JSON changes nothing but its own place. The two libraries keep comments, order and quotes; they may change
white space. Each edit is checked by reading: whatever else the file says, it says the same afterwards.
"""

import io
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_BOM = "\ufeff"


class UneditableError(Exception):
    """There is no place in a file for an addition, or no safe way to take one out."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A member of a mapping, or an element of a list, in a section at the top of a file.

    An element of a list has its name in its field `named_by`, which is None for a member of a mapping.
    """

    section: str
    name: str
    value: Any
    named_by: str | None = None

    @property
    def whole(self) -> dict[str, Any] | list[Any]:
        """The section with nothing else in it."""
        return {self.name: self.value} if self.named_by is None else [self.value]

    def find(self, document: Any) -> Any:
        """Return the value that the document has under this name; None if there is no such value."""
        section = document.get(self.section) if isinstance(document, dict) else None
        if isinstance(section, dict) and self.named_by is None:
            return section.get(self.name)
        return next((item for item in section if self.is_named(item)), None) if isinstance(section, list) else None

    def without(self, document: Any) -> Any:
        """Return the document without it. An empty section counts as a missing one."""
        if not isinstance(document, dict):
            return {} if document is None else document
        rest = dict(document)
        section = rest.pop(self.section, None)
        if isinstance(section, dict) and self.named_by is None:
            section = {name: value for name, value in section.items() if name != self.name}
        elif isinstance(section, list):
            section = [item for item in section if not self.is_named(item)]
        return rest if section in ({}, [], None) else rest | {self.section: section}

    def is_named(self, item: Any) -> bool:
        """Return whether an element of a list has this name."""
        return self.named_by is not None and isinstance(item, dict) and item.get(self.named_by) == self.name

    def misplaced(self) -> UneditableError:
        """Return the error for a section of another type."""
        return UneditableError(f"its {self.section} is not what the host expects there")


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: what a text says (None for an empty one), and the text with and without an addition."""

    read: Callable[[str], Any]
    insert: Callable[[str, Addition], str]
    remove: Callable[[str, Addition], str]


def read(text: str, file_format: Format) -> Any:
    """Return what a file says; whatever the format's library raises reaches the caller."""
    return file_format.read(_normal(text))


def edited(text: str, file_format: Format, *, out: Sequence[Addition], into: Sequence[Addition] = ()) -> str:
    """Return the text of a file without some additions and with others; its byte order mark and line ends stay.

    Raises:
        UneditableError: There is no safe way.
    """
    normal = _normal(text)
    for addition in reversed(out):
        if addition.find(file_format.read(normal)) is not None:
            normal = _checked(file_format, normal, file_format.remove(normal, addition), addition, None)
    for addition in into:
        normal = _checked(file_format, normal, file_format.insert(normal, addition), addition, addition.value)
    mark = _BOM if text.startswith(_BOM) else ""
    return mark + (normal.replace("\n", "\r\n") if "\r\n" in text else normal)


def _normal(text: str) -> str:
    return text.removeprefix(_BOM).replace("\r\n", "\n")


def _checked(file_format: Format, before: str, after: str, addition: Addition, value: Any) -> str:
    says_before = file_format.read(before)
    try:
        says_after = file_format.read(after)
    except Exception:  # noqa: BLE001 - whatever error a reader raises, such a text is not written
        raise UneditableError("it cannot be edited safely") from None
    # By repr: in Python 1 equals True, and NaN does not equal NaN.
    others_stay = repr(addition.without(says_before)) == repr(addition.without(says_after))
    if not others_stay or addition.find(says_after) != value:
        raise UneditableError("it cannot be edited safely")
    return after


# --- TOML


def _insert_toml(text: str, addition: Addition) -> str:
    import tomlkit  # noqa: PLC0415 - start-up time

    document = tomlkit.parse(text if text.endswith("\n") or not text else f"{text}\n")
    section = document.setdefault(addition.section, tomlkit.table(is_super_table=True))
    if not isinstance(section, dict):
        raise addition.misplaced()
    section[addition.name] = addition.value
    return tomlkit.dumps(document)


def _remove_toml(text: str, addition: Addition) -> str:
    import tomlkit  # noqa: PLC0415 - start-up time

    document: Any = tomlkit.parse(text)
    del document[addition.section][addition.name]
    if not document[addition.section]:
        del document[addition.section]
    return tomlkit.dumps(document)


# --- YAML


def _read_yaml(text: str) -> Any:
    return _yaml("safe", text).load(text)


def _insert_yaml(text: str, addition: Addition) -> str:
    document = _yaml("rt", text).load(text)
    if document is None:  # comments alone would be lost on the way
        return (
            text + "\n" * (not text.endswith("\n") and text != "") + _dumped({addition.section: addition.whole}, text)
        )
    if not isinstance(document, dict):
        raise UneditableError("it is not written as lines of names and values")
    section = document.get(addition.section)
    if not section:
        document[addition.section] = addition.whole
    elif addition.named_by is None and isinstance(section, dict):
        section[addition.name] = addition.value
    elif addition.named_by is not None and isinstance(section, list):
        section.append(addition.value)
    else:
        raise addition.misplaced()
    return _dumped(document, text)


def _remove_yaml(text: str, addition: Addition) -> str:
    document = _yaml("rt", text).load(text)
    section = document[addition.section]
    if addition.named_by is None:
        del section[addition.name]
    else:
        del section[next(number for number, item in enumerate(section) if addition.is_named(item))]
    if not section:
        del document[addition.section]
    return _dumped(document, text) if document else ""


def _yaml(kind: str, text: str) -> Any:
    """Return a reader and writer that keeps the text's indentation."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up time

    yaml = YAML(typ=kind, pure=True)
    yaml.preserve_quotes = True
    yaml.width = sys.maxsize
    yaml.explicit_start = text.startswith("---")
    mappings = [len(found) for found in re.findall(r"^( +)[^\s#-][^\n]*:", text, re.MULTILINE)]
    sequence = re.search(r"^[^#\s-][^#\n]*:[ \t]*(?:#.*)?\n( *)- ", text, re.MULTILINE)
    offset = len(sequence[1]) if sequence else 2
    yaml.indent(mapping=min(mappings, default=2), sequence=offset + 2, offset=offset)
    return yaml


def _dumped(document: object, text: str) -> str:
    stream = io.StringIO()
    _yaml("rt", text).dump(document, stream)
    return stream.getvalue()


# --- JSON with comments and trailing commas

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_STRING_OR_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING_OR_TRAILING_COMMA = re.compile(rf"{_STRING}|(?<=[^\s\[{{,:])(\s*),(?=\s*[\]}}])")
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


def misread(text: str, *, comments: bool) -> int | None:
    """Return the line of the first trailing comma, without `comments` also of a comment; None if there is none."""
    text = _normal(text)
    try:
        json.loads(_blanked(_STRING_OR_COMMENT, text) if comments else text)
    except ValueError as error:
        return getattr(error, "lineno", 1)
    return None


def _read_json(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)  # ten times as fast: Claude Code's file can be large
    except ValueError:
        return json.loads(_plain(text))


def _insert_json(text: str, addition: Addition) -> str:
    document = _read_json(text)
    if document is None:
        return text + json.dumps({addition.section: addition.whole}, indent=2, ensure_ascii=False) + "\n"
    if not isinstance(document, dict):
        raise UneditableError("it holds something else than an object")
    plain = _plain(text)
    top = _container(plain, 0)
    section = _section(top, addition)
    if section is None:
        return _with_item(text, top, 1, f"{json.dumps(addition.section)}: ", addition.whole)
    if not isinstance(document[addition.section], type(addition.whole)):
        raise addition.misplaced()
    name = "" if addition.named_by else f"{json.dumps(addition.name)}: "
    return _with_item(text, _container(plain, section.value), 2, name, addition.value)


def _remove_json(text: str, addition: Addition) -> str:
    plain = _plain(text)
    top = _container(plain, 0)
    section = _section(top, addition)
    assert section is not None  # noqa: S101 - the addition is in it
    inside = _container(plain, section.value)
    if len(inside.items) == 1:
        return _without_item(text, plain, top, top.items.index(section))
    values: Any = json.loads(plain)[addition.section]
    named = [
        addition.is_named(values[n]) if addition.named_by else it.key == addition.name
        for n, it in enumerate(inside.items)
    ]
    return _without_item(text, plain, inside, named.index(True))


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of a container: its key, and where it begins, where its value begins, and where it has ended."""

    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Container:
    """An object or list: where its brackets are, and its items."""

    start: int
    close: int
    items: list[_Item]


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """Return the text with blanks in place of what the pattern finds beside strings; all else keeps its place."""
    return pattern.sub(lambda found: found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0]), text)


def _plain(text: str) -> str:
    return _blanked(_STRING_OR_TRAILING_COMMA, _blanked(_STRING_OR_COMMENT, text))


def _after_space(plain: str, at: int) -> int:
    found = _SPACE.match(plain, at)
    return found.end() if found else at


def _container(plain: str, at: int) -> _Container:
    """Return the container that begins here, in JSON that is known to be valid."""
    start = _after_space(plain, at)
    closing = {"{": "}", "[": "]"}[plain[start]]
    items: list[_Item] = []
    at = _after_space(plain, start + 1)
    while plain[at] != closing:
        first, key = at, ""
        if closing == "}":
            key, at = _DECODER.raw_decode(plain, at)
            at = _after_space(plain, _after_space(plain, at) + 1)
        _, end = _DECODER.raw_decode(plain, at)
        items.append(_Item(key, first, at, end))
        at = _after_space(plain, end)
        at = _after_space(plain, at + 1) if plain[at] == "," else at
    return _Container(start, at, items)


def _section(top: _Container, addition: Addition) -> _Item | None:
    return next((item for item in reversed(top.items) if item.key == addition.section), None)


def _with_item(text: str, into: _Container, depth: int, name: str, value: object) -> str:
    """Return the text with one more item at the end of a container."""
    is_one_line = "\n" not in text[into.start : into.close]
    unit = found[1] if (found := re.search(r"^([ \t]+)\S", text, re.MULTILINE)) else "  "
    if into.items and is_one_line:
        item = f" {name}{json.dumps(value, ensure_ascii=False)}"
    else:
        item = "\n" + textwrap.indent(name + json.dumps(value, indent=unit, ensure_ascii=False), unit * depth)
    if into.items:
        place = into.items[-1].end
        return f"{text[:place]},{item}{text[place:]}"
    place = into.start + 1 + len(text[into.start + 1 : into.close].rstrip())  # after comments
    end = f"\n{unit * (depth - 1)}" if is_one_line else ""
    return text[:place] + item + end + text[place:]


def _without_item(text: str, plain: str, container: _Container, number: int) -> str:
    """Return the text without an item of a container, and without the comma after it, or else the one before it."""
    items, item = container.items, container.items[number]
    before, after = text[: item.start], text[item.end :]
    limit = items[number + 1].start if number + 1 < len(items) else container.close
    comma = _blanked(_STRING_OR_COMMENT, text[item.end : limit]).find(",")
    if comma >= 0:
        after = after[comma + 1 :].lstrip(" \t")
    elif number:
        comma = plain.index(",", items[number - 1].end)
        before = text[:comma] + text[comma + 1 : item.start]
    if after.startswith("\n") or after[:1] in "]}":
        before = before.rstrip(" \t")
        before = before.removesuffix("\n") if after.startswith("\n") else before
    return before + after


FORMATS = {
    "json": Format(_read_json, _insert_json, _remove_json),
    "toml": Format(tomllib.loads, _insert_toml, _remove_toml),
    "yaml": Format(_read_yaml, _insert_yaml, _remove_yaml),
}

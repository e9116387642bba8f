"""Add an entry to the text of a host's file, and remove it again: TOML by tomlkit, YAML by ruamel.yaml, JSON here.

An edit of JSON changes nothing but its own place. The libraries can change white space and lose a comment that they
move; it is in the backup then. Each edit is checked by reading: all other settings are the same afterwards.
"""

import io
import itertools
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

_BOM = "\ufeff"


class UneditableError(Exception):
    """There is no place in a file for an addition, or no safe way to take one out."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A member of a top-level section of a file. Where the section is a list, a field of the element has its name."""

    section: str
    name: str
    value: Any
    named_by: str | None = None  # that field, of a list's element
    used_as: str | None = None  # the addition stays while the rest of the file has this text

    @property
    def whole(self) -> dict[str, Any] | list[Any]:
        """The section with nothing else in it."""
        return {self.name: self.value} if self.named_by is None else [self.value]

    def key_in(self, section: Any) -> Any:
        """Return the key or the index that it has in its section; None if it is not there."""
        if isinstance(section, dict) and self.named_by is None:
            return self.name if self.name in section else None
        elements = enumerate(section) if isinstance(section, list) and self.named_by else ()
        return next((at for at, it in elements if isinstance(it, dict) and it.get(self.named_by) == self.name), None)

    def find(self, document: Any) -> Any:
        """Return the value that the document has under this name; None if there is no such value."""
        section: Any = document.get(self.section) if isinstance(document, dict) else None
        return None if (key := self.key_in(section)) is None else section[key]

    def without(self, document: Any) -> Any:
        """Return the document without it. An empty section counts as a missing one."""
        rest = dict(document or {})
        section = rest.pop(self.section, None)
        if (key := self.key_in(section)) is not None:
            section = section.copy()
            del section[key]
        return rest if section in ({}, [], None) else rest | {self.section: section}


def read(text: str, kind: str) -> Any:
    """Return what a file of this kind says, None for an empty one; all that its library raises reaches the caller."""
    return _FORMATS[kind].read(_normal(text))


def edited(text: str, kind: str, *, removed: Sequence[Addition], added: Sequence[Addition] = ()) -> str:
    """Return the text of a file without some additions and with others; raise UneditableError if no way is safe."""
    file_format, normal = _FORMATS[kind], _normal(text)
    for addition in removed:
        is_used = addition.used_as is not None and addition.used_as in normal
        if addition.find(file_format.read(normal)) is not None and not is_used:
            rest = _with_comments_kept(normal, file_format.remove(normal, addition))
            normal = _checked(file_format, normal, rest, addition, None)
    for addition in added:
        document = file_format.read(normal)
        if not isinstance(document, dict | None):
            raise UneditableError("it holds something other than names and values")
        if addition.used_as and addition.find(document) is not None:
            continue  # the user has it already
        section = (document or {}).get(addition.section)
        if not isinstance(addition.whole if section is None else section, type(addition.whole)):
            raise UneditableError(f"its {addition.section} is not what the host expects there")
        normal = _checked(file_format, normal, file_format.insert(normal, addition), addition, addition.value)
    mark = _BOM if text.startswith(_BOM) else ""
    return mark + (normal.replace("\n", "\r\n") if "\r\n" in text else normal)


def _normal(text: str) -> str:
    return text.removeprefix(_BOM).replace("\r\n", "\n")


def _with_comments_kept(before: str, after: str) -> str:
    """Return the text after a removal, with the comments that ended the removed part: they are about what follows."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    at = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(new))
    removed = old[at : at + len(old) - len(new)]
    if old != new[:at] + removed + new[at:]:  # white space has changed elsewhere too
        return after
    ends = itertools.takewhile(lambda line: line.lstrip()[:1] in {"", "#"}, reversed(removed))
    comments = "".join(reversed(list(ends))).lstrip("\n")
    return "".join([*new[:at], comments, *new[at:]]) if comments.strip() else after


def _checked(file_format: "_Format", before: str, after: str, addition: Addition, value: Any) -> str:
    others = repr(addition.without(file_format.read(before)))  # as text: in Python 1 == True, and NaN != NaN
    with suppress(Exception):  # whatever error a reader raises, such a text is not written
        document = file_format.read(after)
        if repr(addition.without(document)) == others and addition.find(document) == value:
            return after
    raise UneditableError("it cannot be edited safely")


# --- TOML


def _insert_toml(text: str, addition: Addition) -> str:
    import tomlkit  # noqa: PLC0415 - start-up time

    section = tomlkit.table(is_super_table=True)
    section[addition.name] = addition.value
    added = tomlkit.dumps({addition.section: section})
    return text.rstrip() + "\n\n" + added if text.strip() else added


def _remove_toml(text: str, addition: Addition) -> str:
    import tomlkit  # noqa: PLC0415 - start-up time

    document: Any = tomlkit.parse(text)
    del document[addition.section][addition.name]
    return tomlkit.dumps(document)


# --- YAML


def _insert_yaml(text: str, addition: Addition) -> str:
    document = _yaml("rt", text).load(text)
    if document is None or (document and addition.section not in document and text.endswith("\n")):
        ended = text.removesuffix("\n") + "\n" if text else ""
        return ended + _dumped({addition.section: addition.whole}, text)
    section = document.get(addition.section)
    if not section:
        document[addition.section] = addition.whole
    elif addition.named_by is None:
        section[addition.name] = addition.value
    else:
        section.append(addition.value)
    return _dumped(document, text)


def _remove_yaml(text: str, addition: Addition) -> str:
    document = _yaml("rt", text).load(text)
    section = document[addition.section]
    del section[addition.key_in(section)]
    if not section:  # beside a comment of it there is no place for empty brackets
        del document[addition.section]
    return _dumped(document, text)


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

# An unclosed string or comment matches to its end too: the search must not begin again at each of its characters.
_STRING = r'"(?:[^"\\\n]|\\.)*"?'
_STRING_OR_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_STRING_OR_TRAILING_COMMA = re.compile(rf"{_STRING}|(?<=[^\s\[{{,:])(\s*),(?=\s*[\]}}])")
_DECODER = json.JSONDecoder()


class _Item(NamedTuple):
    """Where an item of an object or list begins, where its value begins, and where it has ended."""

    start: int
    value: int
    end: int


def misread(text: str, *, comments: bool) -> int | None:
    """Return the line of the first trailing comma or, unless `comments` are allowed, comment; None if there is none."""
    text = _normal(text)
    try:
        json.loads(_blanked(_STRING_OR_COMMENT, text) if comments else text)
    except ValueError as error:
        return getattr(error, "lineno", 1)
    return None


def _read_json(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)  # ten times as fast: Claude Code's file can be large
    return json.loads(_plain(text)) if text.strip() else None


def _insert_json(text: str, addition: Addition) -> str:
    """Insert it as the first item of its section: comments before other items stay with these."""
    text = text if _plain(text).strip() else text + "{}\n"
    plain = _plain(text)
    at, name, value, depth = plain.index("{"), json.dumps(addition.section) + ": ", addition.whole, 1
    if section := _items(plain, at).get(addition.section):
        at, value, depth = section.value, addition.value, 2
        name = "" if addition.named_by else json.dumps(addition.name) + ": "
    others, rest = _items(plain, at), text[at + 1 :]
    unit = found[1] if (found := re.search(r"^([ \t]+)\S", text, re.MULTILINE)) else "  "
    item = textwrap.indent(name + json.dumps(value, indent=unit, ensure_ascii=False), unit * depth)
    end = "" if rest.lstrip(" \t").startswith("\n") else "\n" + unit * (depth if others else depth - 1)
    return text[: at + 1] + "\n" + item + ("," if others else "") + end + rest


def _remove_json(text: str, addition: Addition) -> str:
    plain, uncommented = _plain(text), _blanked(_STRING_OR_COMMENT, text)
    section = _items(plain, plain.index("{"))[addition.section]
    item = _items(plain, section.value)[addition.key_in(json.loads(plain)[addition.section])]
    before, after = text[: item.start], text[item.end :]
    rest, others = uncommented[item.end :].lstrip(), uncommented[: item.start].rstrip()
    if rest.startswith(","):
        after = text[len(text) - len(rest) + 1 :].lstrip(" \t")
    elif others.endswith(","):
        before = text[: len(others) - 1] + text[len(others) : item.start]
    if after.startswith("\n"):
        before = before.rstrip(" \t").removesuffix("\n")
    return before + after


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """Return the text with blanks in place of what the pattern finds, except strings; all else keeps its place."""
    return pattern.sub(lambda found: found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0]), text)


def _plain(text: str) -> str:
    return _blanked(_STRING_OR_TRAILING_COMMA, _blanked(_STRING_OR_COMMENT, text))


def _items(plain: str, at: int) -> dict[Any, _Item]:
    """Return the items, by key or index, of the object or list whose bracket is at `at`; the JSON is valid."""
    found: dict[Any, _Item] = {}
    is_object = plain[at] == "{"
    at = _after(r"\s*", plain, at + 1)
    while plain[at] not in "}]":
        key, start = len(found), at
        if is_object:
            key, at = _DECODER.raw_decode(plain, at)
            at = _after(r"\s*:\s*", plain, at)
        _, end = _DECODER.raw_decode(plain, at)
        found[key] = _Item(start, at, end)
        at = _after(r"\s*,?\s*", plain, end)
    return found


def _after(pattern: str, text: str, at: int) -> int:
    found = re.compile(pattern).match(text, at)
    return found.end() if found else at


class _Format(NamedTuple):
    read: Callable[[str], Any]
    insert: Callable[[str, Addition], str]
    remove: Callable[[str, Addition], str]


_FORMATS = {
    "json": _Format(_read_json, _insert_json, _remove_json),
    "toml": _Format(tomllib.loads, _insert_toml, _remove_toml),
    "yaml": _Format(lambda text: _yaml("safe", text).load(text), _insert_yaml, _remove_yaml),
}

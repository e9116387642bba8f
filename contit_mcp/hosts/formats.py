"""The formats of hosts' files: TOML through tomlkit, YAML through ruamel.yaml, JSON with comments by our own editor.

tomlkit and ruamel.yaml keep comments, order and quotes; they may change white space.
"""

import io
import json
import re
import sys
import tomllib
from dataclasses import dataclass, field
from typing import Any

from contit_mcp.hosts.document import Addition, Format, UnreadableTextError, UnsuitableTextError

_BOM = "\ufeff"
_TOML_PLACE = re.compile(r"\(at line (\d+), column \d+\)")
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_STRING_OR_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING_OR_TRAILING_COMMA = re.compile(rf"{_STRING}|(?<=[^\s\[{{,:])(\s*),(?=\s*[\]}}])")
_SPACE = re.compile(r"[ \t\r\n]*")
_SHORT_LIST = re.compile(r"\[\n\s+([^\[\]{}]*?)\n\s*\]")
_DECODER = json.JSONDecoder()


class TomlFormat:
    """TOML."""

    def read(self, text: str) -> object:
        """Return what the text says."""
        try:
            return tomllib.loads(text.removeprefix(_BOM))
        except tomllib.TOMLDecodeError as error:
            found = _TOML_PLACE.search(str(error))
            line = int(found[1]) if found else text.count("\n") + 1
            problem = _TOML_PLACE.sub("", str(error)).replace("(at end of document)", "at the end of the file").strip()
            raise UnreadableTextError(line, problem[:1].lower() + problem[1:]) from None

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with a table for the addition."""
        import tomlkit  # noqa: PLC0415 - start-up time

        document = tomlkit.parse(_ended(text))
        section = document.setdefault(addition.section, tomlkit.table(is_super_table=True))
        if not isinstance(section, dict):
            raise UnsuitableTextError(f"its {addition.section} is not what the host expects there")
        section[addition.name] = addition.value
        return _like(text, tomlkit.dumps(document))

    def remove(self, text: str, addition: Addition) -> str:
        """Return the text without the table."""
        import tomlkit  # noqa: PLC0415 - start-up time

        document: Any = tomlkit.parse(text.removeprefix(_BOM))
        del document[addition.section][addition.name]
        if not document[addition.section]:
            del document[addition.section]
        return _like(text, tomlkit.dumps(document))


class YamlFormat:
    """YAML 1.2."""

    def read(self, text: str) -> object:
        """Return what the text says; None for an empty one."""
        return self._load(text, "safe")

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with the addition as the last item of its section."""
        document = self._load(text, "rt")
        if document is None:  # comments alone would be lost on the way
            value = {addition.name: addition.value} if addition.named_by is None else [addition.value]
            return _like(text, _ended(text) + _dumped({addition.section: value}, text))
        if not isinstance(document, dict):
            raise UnsuitableTextError("it is not written as lines of names and values")
        if not document.get(addition.section):
            document[addition.section] = {} if addition.named_by is None else []
        section = document[addition.section]
        if addition.named_by is None and isinstance(section, dict):
            section[addition.name] = addition.value
        elif addition.named_by is not None and isinstance(section, list):
            section.append(addition.value)
        else:
            raise UnsuitableTextError(f"its {addition.section} is not what the host expects there")
        return _like(text, _dumped(document, text))

    def remove(self, text: str, addition: Addition) -> str:
        """Return the text without the addition, and without its section if that is empty then."""
        document = self._load(text, "rt")
        section = document[addition.section]
        if addition.named_by is None:
            del section[addition.name]
        else:
            del section[next(number for number, item in enumerate(section) if addition.is_named(item))]
        if not section:
            del document[addition.section]
        return _like(text, _dumped(document, text) if document else "")

    def _load(self, text: str, kind: str) -> Any:
        from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415 - start-up time

        try:
            return _yaml(kind, text).load(text.removeprefix(_BOM).replace("\r\n", "\n"))
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UnreadableTextError(line, error.problem or "it cannot be read") from None
        except YAMLError as error:
            line = text.count("\n", 0, getattr(error, "position", None) or 0) + 1
            raise UnreadableTextError(line, getattr(error, "reason", None) or "it cannot be read") from None


def _yaml(kind: str, text: str) -> Any:
    """Return a reader and writer that keeps the text's indentation."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up time
    from ruamel.yaml.constructor import RoundTripConstructor, SafeConstructor  # noqa: PLC0415

    class Constructor(RoundTripConstructor if kind == "rt" else SafeConstructor):  # type: ignore[misc]
        """Reads a date, and a lone `=`, as the text that they are in YAML 1.2, which hosts read."""

    for tag in ("timestamp", "value"):
        Constructor.add_constructor(f"tag:yaml.org,2002:{tag}", lambda self, node: self.construct_scalar(node))
    yaml = YAML(typ=kind, pure=True)
    yaml.Constructor = Constructor
    yaml.preserve_quotes = True
    yaml.width = sys.maxsize
    yaml.explicit_start = text.removeprefix(_BOM).startswith("---")
    mappings = [len(found) for found in re.findall(r"^( +)[^\s#-][^\n]*:", text, re.MULTILINE)]
    sequence = re.search(r"^[^#\s-][^#\n]*:[ \t]*(?:#.*)?\r?\n( *)- ", text, re.MULTILINE)
    offset = len(sequence[1]) if sequence else 2
    yaml.indent(mapping=min(mappings, default=2), sequence=offset + 2, offset=offset)
    return yaml


def _dumped(document: object, text: str) -> str:
    stream = io.StringIO()
    _yaml("rt", text).dump(document, stream)
    return stream.getvalue()


def _ended(text: str) -> str:
    """Return the text without a byte order mark, and with a line end at its end."""
    text = text.removeprefix(_BOM)
    return text if not text or text.endswith("\n") else f"{text}\n"


def _like(before: str, text: str) -> str:
    """Return the text with the byte order mark and the line ends of the text that it was made of."""
    return (_BOM if before.startswith(_BOM) else "") + _lines_like(before, text)


def _lines_like(before: str, text: str) -> str:
    return re.sub(r"(?<!\r)\n", "\r\n", text) if "\r\n" in before else text


# --- JSON with comments


class JsonFormat:
    """JSON with comments and trailing commas. An edit touches nothing but its own place."""

    def read(self, text: str) -> object:
        """Return what the text says; None for an empty one."""
        if not text.strip("\ufeff \t\r\n"):
            return None
        try:
            return json.loads(text.removeprefix(_BOM))  # ten times as fast: Claude Code's file can be large
        except ValueError:
            plain = _plain(text)
        try:
            return json.loads(plain)
        except json.JSONDecodeError as error:
            raise UnreadableTextError(error.lineno, error.msg[:1].lower() + error.msg[1:]) from None

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with the addition as the last item of its section."""
        unit = found[1] if (found := re.search(r"^([ \t]+)\S", text, re.MULTILINE)) else "  "
        whole: Any = {addition.name: addition.value} if addition.named_by is None else [addition.value]
        document = self.read(text)
        if document is None:
            return text + _lines_like(text, _pretty({addition.section: whole}, unit) + "\n")
        if not isinstance(document, dict):
            raise UnsuitableTextError("it holds something else than an object")
        top = _items(_plain(text), 0)
        section = next((item for item in reversed(top.items) if item.key == addition.section), None)
        if section is None:
            return _with_item(text, top, f"{json.dumps(addition.section)}: ", whole, unit, unit)
        if not isinstance(document[addition.section], type(whole)):
            raise UnsuitableTextError(f"its {addition.section} is not what the host expects there")
        name = "" if addition.named_by else f"{json.dumps(addition.name)}: "
        return _with_item(text, _items(_plain(text), section.value), name, addition.value, unit, unit * 2)

    def remove(self, text: str, addition: Addition) -> str:
        """Return the text without the addition, and without its section if nothing else is in it."""
        plain = _plain(text)
        top = _items(plain, 0)
        position = max(number for number, item in enumerate(top.items) if item.key == addition.section)
        section = _items(plain, top.items[position].value)
        if len(section.items) == 1:
            return _without_item(text, plain, top, position)
        values: Any = json.loads(plain)[addition.section]
        names = [item.key for item in section.items]
        number = (
            names.index(addition.name)
            if addition.named_by is None
            else next(number for number, value in enumerate(values) if addition.is_named(value))
        )
        return _without_item(text, plain, section, number)


def strictly_wrong(text: str) -> int | None:
    """Return the line at which JSON to the letter, without comments and trailing commas, ends; None if it does not."""
    try:
        json.loads(text.removeprefix(_BOM))
    except ValueError as error:
        return getattr(error, "lineno", 1)
    return None


@dataclass(frozen=True, slots=True)
class _Item:
    """Where an item of a container begins, where its value begins, and where it has ended."""

    start: int
    value: int
    end: int
    key: str = ""


@dataclass(slots=True)
class _Container:
    """Where an object or list begins, where its closing bracket is, and its items."""

    start: int
    close: int = 0
    items: list[_Item] = field(default_factory=list)


def _plain(text: str) -> str:
    """Return the text with blanks in place of the mark, comments and trailing commas; all else keeps its place."""

    def blanked(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0])

    text = _STRING_OR_COMMENT.sub(blanked, text.replace(_BOM, " ", 1) if text.startswith(_BOM) else text)
    return _STRING_OR_TRAILING_COMMA.sub(blanked, text)


def _after_space(plain: str, at: int) -> int:
    found = _SPACE.match(plain, at)
    return found.end() if found else at


def _items(plain: str, at: int) -> _Container:
    """Return the container that begins here, in JSON that is known to be valid."""
    found = _Container(_after_space(plain, at))
    closing = {"{": "}", "[": "]"}[plain[found.start]]
    at = _after_space(plain, found.start + 1)
    while plain[at] != closing:
        start, key = at, ""
        if closing == "}":
            key, at = _DECODER.raw_decode(plain, at)
            at = _after_space(plain, _after_space(plain, at) + 1)
        _, end = _DECODER.raw_decode(plain, at)
        found.items.append(_Item(start, at, end, key))
        at = _after_space(plain, end)
        at = _after_space(plain, at + 1) if plain[at] == "," else at
    found.close = at
    return found


def _pretty(value: object, unit: str) -> str:
    written = json.dumps(value, indent=unit, ensure_ascii=False)
    return _SHORT_LIST.sub(lambda found: "[" + re.sub(r"\n\s+", " ", found[1]) + "]", written)


def _with_item(text: str, into: _Container, name: str, value: object, unit: str, indent: str) -> str:
    """Return the text with one more item before the closing bracket, after all comments."""
    if into.items and "\n" not in text[into.start : into.close]:
        before, item, end = " ", name + json.dumps(value, ensure_ascii=False), ""
    else:
        line = text[: into.items[-1].start].rpartition("\n")[2] if into.items else ""
        if into.items and not line.strip() and "\n" in text[into.start : into.items[-1].start]:
            indent = line
        before = f"\n{indent}"
        item = name + _pretty(value, unit).replace("\n", before)
        end = "" if "\n" in text[into.start : into.close] else "\n" + indent.removesuffix(unit)
    place = into.start + 1 + len(text[into.start + 1 : into.close].rstrip())
    if not into.items:
        return text[:place] + _lines_like(text, before + item + end) + text[place:]
    last = into.items[-1].end
    comma = _trailing_comma(text, into)
    if comma is None:
        return text[:last] + "," + text[last:place] + _lines_like(text, before + item) + text[place:]
    return text[:place] + _lines_like(text, f"{before}{item},") + text[place:]


def _trailing_comma(text: str, container: _Container) -> int | None:
    """Return where the comma after the last item is, if there is one."""
    rest = text[container.items[-1].end : container.close]
    at = _STRING_OR_COMMENT.sub(lambda found: " " * len(found[0]), rest).find(",")
    return None if at < 0 else container.items[-1].end + at


def _without_item(text: str, plain: str, container: _Container, number: int) -> str:
    """Return the text without one of a container's items and the comma that belongs to it."""
    item = container.items[number]
    if number < len(container.items) - 1:
        following = container.items[number + 1].start
        comma = plain.index(",", item.end)
        return text[: item.start] + text[comma + 1 : following].lstrip() + text[following:]
    trailing = _trailing_comma(text, container)
    end = item.end if trailing is None else trailing + 1
    start = container.start + 1 + len(text[container.start + 1 : item.start].rstrip())
    if number and trailing is None:
        comma = plain.index(",", container.items[number - 1].end)
        return text[:comma] + text[comma + 1 : start] + text[end:]
    return text[:start] + text[end:]


FORMATS: dict[str, Format] = {"json": JsonFormat(), "toml": TomlFormat(), "yaml": YamlFormat()}

"""JSON as editors write it, with comments and trailing commas: read, and edited without touching anything else."""

import contextlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from contit_mcp.hosts.document import Addition, UnreadableTextError, UnsuitableTextError

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_DEEPEST = 200
_COMMENT_TO_END_OF_LINE = re.compile(r"[ \t]*(?://[^\n\r]*|/\*[^\n\r]*?\*/[ \t]*)?(?=\r?\n)")

_SHORT_LIST = re.compile(r"\[\n\s+([^\[\]{}]*?)\n\s*\]")


class JsonFormat:
    """JSON with comments and trailing commas."""

    exact = True

    def read(self, text: str) -> object:
        """Return what the text says; None for an empty one."""
        if not text.strip("\ufeff \t\r\n"):
            return None
        try:
            return json.loads(text.removeprefix("\ufeff"))  # ten times as fast: Claude Code's file can be large
        except (ValueError, RecursionError):
            return parse(text).value

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with the addition."""
        style = _Style(text)
        kind, whole = ("{", {addition.name: addition.value}) if addition.named_by is None else ("[", [addition.value])
        if not text.strip("\ufeff \t\r\n"):
            return text + style.written({addition.section: whole}, "") + style.newline
        top = parse(text)
        if top.kind != "{":
            raise UnsuitableTextError("it holds something else than an object")
        section = next((node for _, key, node in reversed(top.items) if key == addition.section), None)
        if section is None:
            return _into(text, top, addition.section, whole, style, 1)
        if section.kind != kind:
            raise UnsuitableTextError(f"its {addition.section} is not what the host expects there")
        return _into(text, section, addition.name if kind == "{" else None, addition.value, style, 2)

    def remove(self, text: str, addition: Addition) -> str:
        """Return the text without the addition, and without its section if nothing else is in it."""
        top = parse(text)
        position, section = next(
            (number, node) for number, (_, key, node) in reversed(list(enumerate(top.items))) if key == addition.section
        )
        if len(section.items) == 1:
            return _without(text, top, position)
        number = next(
            number
            for number, (_, key, node) in enumerate(section.items)
            if (key == addition.name if addition.named_by is None else addition.is_named(node.value))
        )
        return _without(text, section, number)


def strictly_wrong(text: str) -> int | None:
    """Return the line at which JSON to the letter, without comments and trailing commas, ends; None if it does not."""
    try:
        json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        return getattr(error, "lineno", 1)
    return None


@dataclass(slots=True)
class Node:
    """One value of the text.

    Attributes:
        start: Where it begins.
        end: Where it has ended.
        value: What it says.
        kind: `{`, `[`, or "" for what holds no others.
        items: What it holds: where each begins (a member with its key), its key, and its node.
        trailing_comma: Where a comma after the last of them has ended, where there is one.
    """

    start: int
    end: int
    value: Any
    kind: str = ""
    items: list[tuple[int, str, "Node"]] = field(default_factory=list)
    trailing_comma: int | None = None


def parse(text: str) -> Node:
    """Read a document.

    Raises:
        UnreadableTextError: It is no JSON, comments and trailing commas aside.
    """
    start = _skip(text, 1 if text.startswith("\ufeff") else 0)
    node = _value(text, start, 0)
    if (rest := _skip(text, node.end)) < len(text):
        raise _problem(text, rest, "nothing is expected after the end of the document")
    return node


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int, depth: int) -> Node:
    if depth > _DEEPEST:
        raise _problem(text, at, "it is nested too deeply")
    if text.startswith(("{", "["), at):
        return _container(text, at, depth)
    if text.startswith('"', at):
        value, end = _string(text, at)
        return Node(at, end, value)
    if found := _PLAIN.match(text, at):
        return Node(at, found.end(), json.loads(found[0]))
    raise _problem(text, at, "a value is expected")


def _container(text: str, start: int, depth: int) -> Node:
    kind = text[start]
    closing = "}" if kind == "{" else "]"
    node = Node(start, start, {} if kind == "{" else [], kind)
    at = _skip(text, start + 1)
    while not text.startswith(closing, at):
        if node.items and node.trailing_comma is None:
            raise _problem(text, at, f"a comma or {closing} is expected")
        begin, key = at, ""
        if kind == "{":
            if not text.startswith('"', at):
                raise _problem(text, at, f"a name in double quotes or {closing} is expected")
            key, at = _string(text, at)
            at = _skip(text, at)
            if not text.startswith(":", at):
                raise _problem(text, at, "a colon is expected")
            at = _skip(text, at + 1)
        child = _value(text, at, depth + 1)
        node.items.append((begin, key, child))
        if kind == "{":
            node.value[key] = child.value
        else:
            node.value.append(child.value)
        at = _skip(text, child.end)
        node.trailing_comma = None
        if text.startswith(",", at):
            node.trailing_comma = at + 1
            at = _skip(text, at + 1)
    node.end = at + 1
    return node


def _string(text: str, at: int) -> tuple[str, int]:
    if found := _STRING.match(text, at):
        with contextlib.suppress(ValueError):
            return str(json.loads(found[0], strict=False)), found.end()
    raise _problem(text, at, "a string does not end, or has an escape that JSON does not know")


def _problem(text: str, at: int, problem: str) -> UnreadableTextError:
    if at >= len(text):
        problem = f"the file ends where {problem}" if " is expected" in problem else problem
    return UnreadableTextError(text.count("\n", 0, at) + 1, problem)


def _into(text: str, node: Node, name: str | None, value: object, style: "_Style", depth: int) -> str:
    """Return the text with an item: after the last one if only blanks follow it, else before the first."""

    def written(indent: str | None) -> str:
        return ("" if name is None else f"{json.dumps(name)}: ") + style.written(value, indent)

    def at(place: int, piece: str) -> str:
        return text[:place] + piece + text[place:]

    spread = "\n" in text[node.start : node.end]
    if node.items and not spread:
        end = node.items[-1][2].end
        if node.trailing_comma is None and not text[end : node.end - 1].strip():
            return at(end, f", {written(None)}")
        return at(node.start + 1, f"{written(None)}, ")
    indent = _indent_of(text, node) or style.unit * depth
    outer, inner = style.newline + style.unit * (depth - 1), style.newline + indent
    item = written(indent)
    if not node.items:
        gap = text[node.start + 1 : node.end - 1]
        return at(node.start + 1 + len(gap.rstrip()), inner + item + ("" if spread else outer))
    latest = node.items[-1][2]
    if node.trailing_comma is None and not text[latest.end : node.end - 1].strip():
        return at(latest.end, f",{inner}{item}")
    aside = _COMMENT_TO_END_OF_LINE.match(text, node.start + 1)
    return at(aside.end(), f"{inner}{item},") if aside else at(node.start + 1, f"{inner}{item},{inner}")


def _indent_of(text: str, node: Node) -> str:
    """The indentation of the items, where the last of them stands on a line of its own."""
    if not node.items:
        return ""
    before = text[: node.items[-1][0]]
    line = before[before.rfind("\n") + 1 :]
    return "" if line.strip() or "\n" not in before[node.start :] else line


def _without(text: str, node: Node, number: int) -> str:
    """The text without one of a node's items and the comma that belongs to it."""
    begin, _, item = node.items[number]
    if len(node.items) == 1:
        start, end = node.start + 1, node.trailing_comma or item.end
        return text[:begin].rstrip(" \t") + text[end:] if text[start:begin].strip() else text[:start] + text[end:]
    if number == len(node.items) - 1:
        before = node.items[number - 1][2].end
        comma = text.rfind(",", before, begin)
        kept = text[comma + 1 : begin].rstrip() if text[comma + 1 : begin].strip() else ""
        if node.trailing_comma is not None:
            return text[: comma + 1] + kept + text[node.trailing_comma :]
        return text[:comma] + kept + text[item.end :]
    following = node.items[number + 1][0]
    comma = text.index(",", item.end, following)
    return text[:begin] + text[comma + 1 : following].lstrip(" \t\r\n") + text[following:]


class _Style:
    """How the text is indented, and how its lines end."""

    def __init__(self, text: str) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        indented = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
        self.unit = indented[1] if indented else "  "

    def written(self, value: object, indent: str | None) -> str:
        """A value, its first line where it stands and the others indented; None: all on one line."""
        if indent is None:
            return json.dumps(value, ensure_ascii=False)
        written = json.dumps(value, indent=self.unit, ensure_ascii=False)
        written = _SHORT_LIST.sub(lambda found: "[" + re.sub(r"\n\s+", " ", found[1]) + "]", written)
        return written.replace("\n", self.newline + indent)

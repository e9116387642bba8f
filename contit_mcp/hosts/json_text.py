"""Puts an addition into JSON text, and takes one out, without touching anything else."""

import json
import re
from collections.abc import Callable

from contit_mcp.hosts.addition import Addition, UnsuitableTextError
from contit_mcp.hosts.json_nodes import Node, parse

_COMMENT_TO_END_OF_LINE = re.compile(r"[ \t]*(?://[^\n\r]*|/\*[^\n\r]*?\*/[ \t]*)?(?=\r?\n)")

_SHORT_LIST = re.compile(r"\[\n\s+([^\[\]{}]*?)\n\s*\]")


def read(text: str) -> object:
    """What the text says; None for a file with nothing in it."""
    if not text.strip("\ufeff \t\r\n"):
        return None
    try:
        return json.loads(text.removeprefix("\ufeff"))  # ten times as fast: Claude Code's file can be large
    except (ValueError, RecursionError):
        return parse(text).value


def insert(text: str, addition: Addition) -> tuple[int, str]:
    """Where to insert which text.

    Raises:
        UnreadableTextError: The text is no JSON.
        UnsuitableTextError: It is no object, or the section is not what it has to be.
    """
    style = _Style(text)
    if not text.strip("\ufeff \t\r\n"):
        whole = {addition.section: {addition.name: addition.value} if addition.named_by is None else [addition.value]}
        return len(text), style.written(whole, "") + style.newline
    top = parse(text)
    if top.kind != "{":
        raise UnsuitableTextError("it holds something else than an object")
    kind = "{" if addition.named_by is None else "["
    section = next((node for _, key, node in reversed(top.items) if key == addition.section), None)
    if section is None:

        def with_section(indent: str | None) -> str:
            inner = style.written({addition.name: addition.value} if kind == "{" else [addition.value], indent)
            return f"{json.dumps(addition.section)}: {inner}"

        return _into(text, top, with_section, style, 1)
    if section.kind != kind:
        raise UnsuitableTextError(f"its {addition.section} is not what the host expects there")

    def alone(indent: str | None) -> str:
        name = f"{json.dumps(addition.name)}: " if kind == "{" else ""
        return name + style.written(addition.value, indent)

    return _into(text, section, alone, style, 2)


def remove(text: str, addition: Addition) -> str:
    """The text without it, and without the section if nothing else is in it.

    Raises:
        UnreadableTextError: The text is no JSON.
    """
    top = parse(text)
    position, section = next(
        (number, node) for number, (_, key, node) in reversed(list(enumerate(top.items))) if key == addition.section
    )
    number = next(
        number
        for number, (_, key, node) in enumerate(section.items)
        if (key == addition.name if addition.named_by is None else addition.find({addition.section: [node.value]}))
    )
    if len(section.items) == 1:
        return _without(text, top, position)
    return _without(text, section, number)


def _into(text: str, node: Node, write: Callable[[str | None], str], style: "_Style", depth: int) -> tuple[int, str]:
    """Where an item goes: after the last one where nothing but blanks follows it, else before the first."""
    spread = "\n" in text[node.start : node.end]
    if node.items and not spread:
        at = node.items[-1][2].end
        if node.trailing_comma is None and not text[at : node.end - 1].strip():
            return at, f", {write(None)}"
        return node.start + 1, f"{write(None)}, "
    indent = _indent_of(text, node) or style.unit * depth
    outer, inner = style.newline + style.unit * (depth - 1), style.newline + indent
    item = write(indent)
    if not node.items:
        gap = text[node.start + 1 : node.end - 1]
        return node.start + 1 + len(gap.rstrip()), inner + item + ("" if spread else outer)
    latest = node.items[-1][2]
    if node.trailing_comma is None and not text[latest.end : node.end - 1].strip():
        return latest.end, f",{inner}{item}"
    aside = _COMMENT_TO_END_OF_LINE.match(text, node.start + 1)
    return (aside.end(), f"{inner}{item},") if aside else (node.start + 1, f"{inner}{item},{inner}")


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

"""JSON as editors write it, with comments and trailing commas, read into nodes that know where they stand."""

import contextlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from contit_mcp.hosts.addition import UnreadableTextError

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_DEEPEST = 200


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
        problem = (
            f"the file ends where {problem.removesuffix(' is expected')} is expected"
            if " is expected" in problem
            else problem
        )
    return UnreadableTextError(text.count("\n", 0, at) + 1, problem)

"""Puts an addition into YAML text as lines of its own, and takes them out again."""

import json
from typing import Any

import yaml

from contit_mcp.hosts.addition import Addition, UnreadableTextError, UnsuitableTextError


class _Reader(yaml.SafeLoader):
    """Reads dates, and a lone `=`, as the text that they are in YAML 1.2, which hosts read: in 1.1 some are errors."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as its base has it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":value"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(text: str) -> object:
    """What the text says; None for a file with nothing in it.

    Raises:
        UnreadableTextError: It is no YAML, or more than one document.
    """
    try:
        return yaml.load(text, Loader=_Reader)  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise _problem(text, error) from None


def insert(text: str, addition: Addition) -> tuple[int, str]:
    """Where to insert which text.

    Raises:
        UnreadableTextError: The text is no YAML.
        UnsuitableTextError: It is no mapping in lines, or the section is not what it has to be.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    top = _compose(text)
    if top is not None and (not isinstance(top, yaml.MappingNode) or top.flow_style):
        raise UnsuitableTextError("it is not written as lines of names and values")
    key, section = _section(top, addition)
    if section is None:
        written = newline.join([f"{addition.section}:", *_lines(addition, 2)]) + newline
        if text.endswith("\n") or not text.removeprefix("\ufeff"):
            return len(text), written
        if top is None:
            return len(text), newline + written
        # A line end more would be one more in the text of a last value.
        return max(text.rfind("\n", 0, top.start_mark.index) + 1, len(text) - len(text.removeprefix("\ufeff"))), written
    if isinstance(section, yaml.ScalarNode) and section.start_mark.index == section.end_mark.index:
        end = text.find("\n", key.end_mark.index)
        at = len(text) if end < 0 else end
        at -= text[:at].endswith("\r")
        return at, newline + newline.join(_lines(addition, 2))
    if not isinstance(section, yaml.MappingNode if addition.named_by is None else yaml.SequenceNode):
        raise UnsuitableTextError(f"its {addition.section} is not what the host expects there")
    if section.flow_style:
        name = f"{json.dumps(addition.name)}: " if addition.named_by is None else ""
        item = name + json.dumps(addition.value, ensure_ascii=False)
        return text.index("{" if addition.named_by is None else "[", section.start_mark.index) + 1, (
            f"{item}, " if section.value else item
        )
    first = section.value[0]
    at = text.rfind("\n", 0, (first[0] if isinstance(first, tuple) else first).start_mark.index) + 1
    column = len(text[at:]) - len(text[at:].lstrip(" "))
    return at, newline.join(_lines(addition, column)) + newline


def remove(text: str, addition: Addition) -> str:
    """The text without its lines, and without the section if nothing else is in it.

    Raises:
        UnsuitableTextError: It does not stand on lines of its own.
    """
    top = _compose(text)
    key, section = _section(top, addition)
    assert section is not None  # noqa: S101 - it was found there
    if len(section.value) == 1:
        begin, last = key, section
    elif section.flow_style:
        raise UnsuitableTextError(f"its {addition.section} is written on one line")
    else:
        begin, last = next(
            (first, last)
            for first, last in (item if isinstance(item, tuple) else (item, item) for item in section.value)
            if (
                first.value == addition.name
                if addition.named_by is None
                else _name_of(first, addition) == addition.name
            )
        )
    start = text.rfind("\n", 0, begin.start_mark.index) + 1
    end = text.find("\n", _last_leaf(last))
    return text[:start] + ("" if end < 0 else text[end + 1 :])


def _lines(addition: Addition, column: int) -> list[str]:
    value: Any = {addition.name: addition.value} if addition.named_by is None else [addition.value]
    written = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)
    return [" " * column + line for line in written.splitlines()]


def _compose(text: str) -> Any:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _problem(text, error) from None


def _section(top: Any, addition: Addition) -> tuple[Any, Any]:
    pairs = top.value if isinstance(top, yaml.MappingNode) else []
    return next(((key, node) for key, node in pairs if key.value == addition.section), (None, None))


def _name_of(node: Any, addition: Addition) -> object:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value.value for key, value in pairs if key.value == addition.named_by), None)


def _last_leaf(node: Any) -> int:
    """Where the last scalar inside a node ends; a block's own end is where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        latest = node.value[-1]
        return _last_leaf(latest[1] if isinstance(latest, tuple) else latest)
    end = int(node.end_mark.index)
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        return end - 1
    return end


def _problem(text: str, error: yaml.YAMLError) -> UnreadableTextError:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        return UnreadableTextError(line, getattr(error, "reason", None) or "it cannot be read")
    return UnreadableTextError(mark.line + 1, str(getattr(error, "problem", None) or "it cannot be read"))

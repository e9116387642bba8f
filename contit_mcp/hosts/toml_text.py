"""Puts an addition into TOML text as a table of its own at the end, and takes it out again."""

import json
import re
import tomllib

from contit_mcp.hosts.addition import Addition, UnreadableTextError, UnsuitableTextError

_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_TABLE = re.compile(r"\s*\[\[?[^\]]")


def read(text: str) -> object:
    """What the text says.

    Raises:
        UnreadableTextError: It is no TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        problem = _LINE.sub("", str(error)).replace("(at end of document)", "at the end of the file").strip()
        raise UnreadableTextError(line, problem[:1].lower() + problem[1:]) from None


def insert(text: str, addition: Addition) -> tuple[int, str]:
    """Where to insert which text.

    Raises:
        UnreadableTextError: The text is no TOML.
    """
    read(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{addition.section}.{addition.name}]"]
    lines += [f"{name} = {_written(value)}" for name, value in addition.value.items()]
    filled = text.removeprefix("\ufeff")
    apart = "" if not filled else newline if filled.endswith("\n") else newline * 2
    return len(text), apart + newline.join(lines) + newline


def remove(text: str, addition: Addition) -> str:
    """The text without its table and the tables inside that; comments before the next table stay.

    Raises:
        UnsuitableTextError: It is no table with a line of its own.
    """
    ours = re.compile(rf"\s*\[\s*{addition.section}\s*\.\s*([\"']?){re.escape(addition.name)}\1\s*[.\]]")
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    kept: list[str] = []
    number, found = 0, False
    while number < len(lines):
        if not ours.match(lines[number]):
            kept.append(lines[number])
            number += 1
            continue
        found = True
        end = number + 1
        while end < len(lines) and not _TABLE.match(lines[end]):
            end += 1
        while (
            end < len(lines) and end > number + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip()[0] == "#")
        ):
            end -= 1
        number = end
        if kept and not kept[-1].strip():
            kept.pop()
    if not found:
        raise UnsuitableTextError(f"its {addition.name} is no table of its own")
    return ("\ufeff" if text.startswith("\ufeff") else "") + "".join(kept)


def _written(value: object) -> str:
    """A value of ours on one line. JSON's strings, numbers and lists are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_written(item)}" for name, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")

"""The formats of hosts' files: TOML through tomlkit, YAML through ruamel.yaml, JSON with comments by our own editor."""

import contextlib
import io
import re
import sys
import tomllib
from typing import Any

from contit_mcp.hosts.document import Addition, Format, UnreadableTextError, UnsuitableTextError
from contit_mcp.hosts.json_text import JsonFormat

_PLACE = re.compile(r"\(at line (\d+), column \d+\)")
_BOM = "\ufeff"


class TomlFormat:
    """TOML. Our table goes to the end of the text; where TOML does not allow that, tomlkit finds its place."""

    exact = False

    def read(self, text: str) -> object:
        """Return what the text says."""
        try:
            return tomllib.loads(text.removeprefix(_BOM))
        except tomllib.TOMLDecodeError as error:
            found = _PLACE.search(str(error))
            line = int(found[1]) if found else text.count("\n") + 1
            problem = _PLACE.sub("", str(error)).replace("(at end of document)", "at the end of the file").strip()
            raise UnreadableTextError(line, problem[:1].lower() + problem[1:]) from None

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with a table for the addition."""
        import tomlkit  # noqa: PLC0415 - start-up time

        apart = "" if not text.removeprefix(_BOM) else "\n" if text.endswith("\n") else "\n\n"
        appended = _as_before(
            text, text.removeprefix(_BOM) + apart + tomlkit.dumps({addition.section: {addition.name: addition.value}})
        )
        with contextlib.suppress(UnreadableTextError):
            self.read(appended)
            return appended
        document = tomlkit.parse(text.removeprefix(_BOM))
        section = document.setdefault(addition.section, tomlkit.table(is_super_table=True))
        if not isinstance(section, dict):
            raise UnsuitableTextError(f"its {addition.section} is not what the host expects there")
        section[addition.name] = addition.value
        return _as_before(text, tomlkit.dumps(document))

    def remove(self, text: str, addition: Addition) -> str:
        """Return the text without the table."""
        import tomlkit  # noqa: PLC0415 - start-up time

        document: Any = tomlkit.parse(text.removeprefix(_BOM))
        del document[addition.section][addition.name]
        if not document[addition.section]:
            del document[addition.section]
        return _as_before(text, tomlkit.dumps(document))


class YamlFormat:
    """YAML 1.2. ruamel.yaml keeps comments, order and quotes; it may change indentation and blank space."""

    exact = False

    def read(self, text: str) -> object:
        """Return what the text says; None for an empty one."""
        return self._load(text, "safe")

    def insert(self, text: str, addition: Addition) -> str:
        """Return the text with the addition as the last item of its section."""
        document = self._load(text, "rt")
        if document is None:  # comments alone would be lost on the way
            apart = "\n" if text.removeprefix(_BOM) and not text.endswith("\n") else ""
            value = {addition.name: addition.value} if addition.named_by is None else [addition.value]
            return _as_before(text, text.removeprefix(_BOM) + apart + self._dumped({addition.section: value}, text))
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
        return _as_before(text, self._dumped(document, text))

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
        return _as_before(text, self._dumped(document, text) if document else "")

    def _load(self, text: str, kind: str) -> Any:
        from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415 - start-up time

        try:
            return _yaml(kind, text).load(text.removeprefix(_BOM).replace("\r\n", "\n"))
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UnreadableTextError(line, error.problem or "it cannot be read") from None
        except YAMLError as error:
            position = getattr(error, "position", None)
            line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
            raise UnreadableTextError(line, getattr(error, "reason", None) or "it cannot be read") from None

    def _dumped(self, document: object, text: str) -> str:
        stream = io.StringIO()
        _yaml("rt", text).dump(document, stream)
        return stream.getvalue()


def _yaml(kind: str, text: str) -> Any:
    """Return a reader and writer that keeps as much of the text's style as it can."""
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


def _as_before(before: str, text: str) -> str:
    """Return the text with the byte order mark and the line ends of the text that it was made of."""
    if "\r\n" in before:
        text = re.sub(r"(?<!\r)\n", "\r\n", text)
    return (_BOM if before.startswith(_BOM) else "") + text


FORMATS: dict[str, Format] = {"json": JsonFormat(), "toml": TomlFormat(), "yaml": YamlFormat()}

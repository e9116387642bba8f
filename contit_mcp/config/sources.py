"""The sources of settings: command line over environment over file over default; and the check of their names."""

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contit_mcp.config.settings import GROUPS, Settings
from contit_mcp.config.values import read_text
from contit_mcp.errors import ConfigurationError

CONFIG_VARIABLE = "CONTIT_MCP_CONFIG"  # names the settings file where no option does, as in containers
_VARIABLES = {name: field.alias or name for name, field in Settings.model_fields.items()}


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings: overrides come before the environment (by default the process's), and that before the file.

    Raises ConfigurationError for an unknown name, or a value that cannot be used.
    """
    found = os.environ if environment is None else environment
    environment = {name: value for name, value in found.items() if not _SERVICE_LINK.fullmatch(f"{name}={value}")}
    _refuse_unknown(environment)
    if file is None and not is_unset(named := environment.get(CONFIG_VARIABLE)):
        file = Path(os.path.expanduser(str(named).strip()))  # noqa: PTH111 - Path's raises without a home
    values: dict[str, Any] = {}
    in_file = _read_file(file) if file else {}
    for source in (
        in_file,
        without_unset({name: environment.get(variable) for name, variable in _VARIABLES.items()}),
        {name: value for name, value in (overrides or {}).items() if value is not None},
    ):
        replaced = set().union(*(group for group in GROUPS if not group.isdisjoint(source)))
        values = {name: value for name, value in values.items() if name not in replaced} | source
    try:
        return Settings(**values)
    except ValidationError as exc:
        names = {_VARIABLES[name]: f"{name} (in {file})" for name in in_file if values.get(name) is in_file[name]}
        message = _explained(exc, names)
    except UnicodeEncodeError:  # pydantic cannot write its error text about a value with lone surrogates
        odd = [_VARIABLES[name] for name, value in values.items() if re.search("[\ud800-\udfff]", str(value))]
        message = f"{' or '.join(odd)} is not UTF-8 text."
    # Not chained: pydantic's text can quote the value, which may be a secret.
    raise ConfigurationError(message, hint="contit-mcp settings lists every setting with its meaning and default.")


def _read_file(file: Path) -> dict[str, Any]:
    name = f"The settings file {file}"
    text = read_text(file, name=name, hint="Check the path given with --config or CONTIT_MCP_CONFIG.")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place = _PLACE.search(str(exc))
    else:
        for key in values:
            if key not in _VARIABLES:
                raise _unknown_name(f"{key} (in {file})", nearest(key, _VARIABLES))
        return without_unset(values)
    raise ConfigurationError(
        f"{name} is not valid TOML{f' at {place[1]}' if place else ''}.",
        hint="Write each line as key = value, with text in double quotes; contit-mcp settings lists the keys.",
    )


# The end of tomllib's messages; the part before it can quote the file.
_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")
_UNWRITTEN = frozenset({"", "null", "undefined"})  # blank, also as written by hosts in JavaScript
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|\$\{\{[^}]*\}\}|\$CONTIT_\w+|%[A-Z_]+%|\{env:[^}]*\}")

# Kubernetes sets such variables for each service. Those of a service called `contit-mcp` would be unknown settings.
_SERVICE_LINK = re.compile(
    r"CONTIT_(\w+_)?((SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP|SCTP))\w*=.*|PORT=(tcp|udp|sctp)://.+)", re.DOTALL
)


def is_unset(value: str | None) -> bool:
    """Return whether a value means "not set": absent, blank, or a placeholder that the host did not fill in."""
    return value is None or value.strip() in _UNWRITTEN or _PLACEHOLDER.fullmatch(value.strip()) is not None


def without_unset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are set, without white space around them, which copied text often has."""
    return {
        name: value.strip() if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and not (isinstance(value, str) and is_unset(value))
    }


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """Refuse an unknown `CONTIT_MCP_…`, and a `CONTIT_…` close to one of ours; others may be for other programs."""
    known = [*_VARIABLES.values(), CONFIG_VARIABLE]
    for name in sorted(environment):
        if name in known or not name.startswith("CONTIT_") or is_unset(environment[name]):
            continue
        near = nearest(name, known, cutoff=0.6 if name.startswith("CONTIT_MCP_") else 0.85)
        if near or name.startswith("CONTIT_MCP_"):
            raise _unknown_name(name, near)


def _unknown_name(name: str, near: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is not a setting of contit-mcp.",
        hint=f"Did you mean {near}?" if near else "contit-mcp settings lists every setting.",
    )


def nearest(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to `name`; None if none is similar. Case and prefixes do not count."""
    word, *words = [each.lower().removeprefix("contit_").removeprefix("mcp_") for each in (name, *known)]
    close = difflib.get_close_matches(word, words, n=1, cutoff=cutoff)
    return list(known)[words.index(close[0])] if close else None


def _explained(error: ValidationError, in_file: Mapping[str, str]) -> str:
    """Return in one line what is wrong, without any value. `in_file` maps variables to the file's keys."""
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        text = item["msg"].removeprefix("Value error, ").removeprefix("Input ").partition(", unable to")[0]
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        where = str(item["loc"][0]) if item["loc"] else ""
        variable = _VARIABLES.get(where, where)
        problems.append(f"{in_file.get(variable, variable)} {text}".lstrip())
    return "; ".join(problems) + "."

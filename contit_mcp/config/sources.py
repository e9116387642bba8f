"""Where settings come from: command line over environment over file over default; and what their names must be."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contit_mcp.config.settings import GROUPS, Settings
from contit_mcp.config.values import expanded
from contit_mcp.errors import ConfigurationError

CONFIG_VARIABLE = "CONTIT_MCP_CONFIG"
"""Names the settings file where no option does: for containers, and for hosts that set variables only."""


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings from all sources.

    Args:
        overrides: From the command line, by field name; None means not given.
        file: The TOML file of `--config`; without it the one that `CONTIT_MCP_CONFIG` names, if it does.
        environment: The process's by default.

    Raises:
        ConfigurationError: A value cannot be used, a name is unknown, or the file cannot be read.
    """
    environment = without_service_links(os.environ if environment is None else environment)
    names = {name: field.alias or name for name, field in Settings.model_fields.items()}
    refuse_unknown_environment(environment, known=[*names.values(), CONFIG_VARIABLE])
    if file is None and not is_unset(named := environment.get(CONFIG_VARIABLE)):
        try:
            file = expanded(Path(str(named).strip()))
        except ValueError as exc:
            raise ConfigurationError(f"{CONFIG_VARIABLE} {exc}.", hint="Name the file by its full path.") from None
    values: dict[str, Any] = {}
    for source in (
        read_settings_file(file, known=names) if file else {},
        without_unset({name: environment.get(variable) for name, variable in names.items()}),
        {name: value for name, value in (overrides or {}).items() if value is not None},
    ):
        for group in GROUPS:
            if not group.isdisjoint(source):
                values = {name: value for name, value in values.items() if name not in group}
        values |= source
    try:
        return Settings(**values)
    except ValidationError as exc:
        # Not chained: pydantic's text can quote the value, which may be a secret.
        message = explain(exc, names)
    except UnicodeEncodeError:  # pydantic's, for an error text that holds such a value
        odd = [names[name] for name, value in values.items() if isinstance(value, str) and not _is_text(value)]
        message = f"{' or '.join(odd)} is not UTF-8 text."
    raise ConfigurationError(message, hint="contit-mcp settings lists every setting with its meaning and default.")


def read_settings_file(file: Path, *, known: Mapping[str, str]) -> dict[str, Any]:
    """Read the file; blank values and unfilled placeholders are left out.

    Args:
        file: A TOML file with our settings as plain keys.
        known: Field names and the names that users know them by.

    Raises:
        ConfigurationError: It cannot be read or parsed, or holds an unknown key.
    """
    # Errors about the content are not chained: they carry it along, and it may hold a secret.
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise _unreadable(file, exc.strerror or "unknown reason") from exc
    except tomllib.TOMLDecodeError as exc:
        place = _PLACE.search(str(exc))
        problem = _invalid(file, f" at {place[1]}" if place else "")
    except UnicodeDecodeError:
        problem = _unreadable(file, "not UTF-8 text")
    except ValueError:
        problem = _unreadable(file, "not a path")
    else:
        for key in values:
            if key not in known:
                raise unknown_name(f"{key} (in {file})", nearest(key, known))
        return without_unset(values)
    raise problem


_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")
"""How tomllib ends its messages; what stands before can quote the file."""


def _unreadable(file: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The settings file {file} cannot be read: {reason}.",
        hint="Check the path given with --config or CONTIT_MCP_CONFIG.",
    )


def _invalid(file: Path, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"The settings file {file} is not valid TOML{where}.",
        hint="Each line is a key of contit-mcp settings, =, and a value; text is in double quotes.",
    )


_UNWRITTEN = frozenset({"", "null", "undefined"})
"""Blank, and what hosts written in JavaScript make of a field that was left blank."""

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|\$\{\{[^}]*\}\}|\$CONTIT_\w+|%[A-Z_]+%|\{env:[^}]*\}")

_SERVICE_LINK = re.compile(
    r"CONTIT_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://.+:\d+")


def without_service_links(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what Kubernetes writes into it of each service in the namespace, by the service's name.

    A service called `contit-mcp` would otherwise set `CONTIT_MCP_PORT` to `tcp://…`, and no server would start.
    """
    return {
        name: value
        for name, value in environment.items()
        if not (
            _SERVICE_LINK.fullmatch(name)
            or (re.fullmatch(r"CONTIT_(?:\w+_)?PORT", name) and _SERVICE_ADDRESS.fullmatch(value))
        )
    }


def is_unset(value: str | None) -> bool:
    """Return whether a value means "not set": absent, blank, or a placeholder that the host did not fill in."""
    return value is None or value.strip() in _UNWRITTEN or _PLACEHOLDER.fullmatch(value.strip()) is not None


def without_unset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are set, without white space around them, which copied text often has."""
    texts = {name: value for name, value in values.items() if value is None or isinstance(value, str)}
    return {
        name: value.strip() if isinstance(value, str) else value
        for name, value in values.items()
        if name not in texts or not is_unset(texts[name])
    }


def refuse_unknown_environment(environment: Mapping[str, str], *, known: Iterable[str]) -> None:
    """Refuse a variable that looks like a setting and is not one.

    All of `CONTIT_MCP_…` is ours. Other `CONTIT_…` variables may belong to other programs, so there only a
    near miss of one of our names is refused.

    Raises:
        ConfigurationError: It names the variable and the nearest known one.
    """
    known = list(known)
    for name in sorted(environment):
        if name in known or not name.startswith("CONTIT_") or is_unset(environment[name]):
            continue
        near = nearest(name, known, cutoff=0.6 if name.startswith("CONTIT_MCP_") else 0.85)
        if near or name.startswith("CONTIT_MCP_"):
            raise unknown_name(name, near)


def unknown_name(name: str, near: str | None) -> ConfigurationError:
    """Return the error for an unknown name."""
    return ConfigurationError(
        f"{name} is not a setting of contit-mcp.",
        hint=f"Did you mean {near}?" if near else "contit-mcp settings lists every setting.",
    )


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to `name`, if any; case and our prefixes do not count."""
    by_word = {_word(candidate): candidate for candidate in known}
    close = difflib.get_close_matches(_word(name), list(by_word), n=1, cutoff=cutoff)
    return by_word[close[0]] if close else None


def _word(name: str) -> str:
    return name.lower().removeprefix("contit_").removeprefix("mcp_")


def explain(error: ValidationError, names: Mapping[str, str]) -> str:
    """Return what is wrong with the settings, in one line, with the names that users write and without any value."""
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        text = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        where = str(item["loc"][0]) if item["loc"] else ""
        problems.append(f"{names.get(where, where)} {text}" if where else text)
    return "; ".join(problems) + "."


def _is_text(value: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in value)

"""Names of settings as their users write them: which count as set, which are unknown, what was meant."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from contit_mcp.errors import ConfigurationError

_UNWRITTEN = frozenset({"", "null", "undefined"})
"""Blank, and what hosts written in JavaScript make of a field that was left blank."""

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|\$\{\{[^}]*\}\}|\$CONTIT_\w+|%[A-Z_]+%|\{env:[^}]*\}")

_SERVICE_LINK = re.compile(
    r"CONTIT_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://.+:\d+")


def without_service_links(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what Kubernetes writes into it of each service in the namespace, by the service's name.

    A service called `contit-mcp` would else set `CONTIT_MCP_PORT` to `tcp://…`, and no server would start.
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
    """Whether a value means "not set": absent, blank, or a placeholder that the host did not fill in."""
    return value is None or value.strip() in _UNWRITTEN or _PLACEHOLDER.fullmatch(value.strip()) is not None


def without_unset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that are set; white space around text is dropped, since copied text brings it along."""
    texts = {name: value for name, value in values.items() if value is None or isinstance(value, str)}
    return {
        name: value.strip() if isinstance(value, str) else value
        for name, value in values.items()
        if name not in texts or not is_unset(texts[name])
    }


def refuse_unknown_environment(environment: Mapping[str, str], *, known: Iterable[str]) -> None:
    """Refuse a variable that was meant for us and that nobody reads.

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
    """The error for a name that is no setting of ours."""
    return ConfigurationError(
        f"{name} is not a setting of contit-mcp.",
        hint=f"Did you mean {near}?" if near else "docs/settings.md lists every setting.",
    )


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that looks most like `name`, if one does; case and our prefixes do not count."""
    by_word = {_word(candidate): candidate for candidate in known}
    close = difflib.get_close_matches(_word(name), list(by_word), n=1, cutoff=cutoff)
    return by_word[close[0]] if close else None


def _word(name: str) -> str:
    return name.lower().removeprefix("contit_").removeprefix("mcp_")


def explain(error: ValidationError, names: Mapping[str, str]) -> str:
    """What is wrong with the settings, in one line, by the names that users write and without any value."""
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        text = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
        where = str(item["loc"][0]) if item["loc"] else ""
        problems.append(f"{names.get(where, where)} {text}" if where else text)
    return "; ".join(problems) + "."

"""What a host is told of us, before it is written in the host's own way."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NAME = "contit-assistant"
"""The name of our entry, in every host."""

TOKEN_VARIABLE = "CONTIT_ASSISTANT_TOKEN"  # noqa: S105 - the name of a variable
"""Where a host looks for the bearer token of a remote server. It is not one of our settings: only the host reads it."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A process that the host starts and speaks to over stdio."""

    command: str
    arguments: tuple[str, ...] = ("stdio",)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server that the host speaks to over HTTP.

    Attributes:
        url: Where its /mcp is.
        token_variable: The variable that holds the bearer token; None for a server that wants none.
        asked_for: Whether the host asks its user for the token.
    """

    url: str
    token_variable: str | None = None
    asked_for: bool = False


Server = LocalServer | RemoteServer

_VARIABLE = re.compile(r"\$\{\{ *secrets\.(\w+) *\}\}|\$\{(?:env:)?(\w+)\}|\{env:(\w+)\}")

Notation = Literal["${NAME}", "${env:NAME}", "{env:NAME}"]
"""How hosts write a variable called NAME; the first may end with `:-` and what counts where it is not set."""

_NAMED: dict[Notation, re.Pattern[str]] = {
    "${NAME}": re.compile(r"\$\{(\w+)(?::-([^}]*))?\}"),
    "${env:NAME}": re.compile(r"\$\{env:(\w+)()\}"),
    "{env:NAME}": re.compile(r"\{env:(\w+)()\}"),
}


def read_entry(value: object) -> Server | None:
    """What a host would do with an entry, whichever of the hosts' notations it is in; None for what is no entry."""
    if not isinstance(value, Mapping):
        return None
    if url := _first(value, "url", "uri", "httpUrl", "serverUrl"):
        return RemoteServer(str(url), _token_variable(value), asked_for="${input:" in _authorization(value))
    words = _first(value, "command", "cmd")
    words = [words] if isinstance(words, str) else words
    given = _first(value, "env", "envs", "environment") or {}
    if not isinstance(words, list) or not words or not isinstance(given, Mapping):
        return None
    arguments = value.get("args") or []
    rest = tuple(str(word) for word in (*words[1:], *(arguments if isinstance(arguments, list) else ())))
    return LocalServer(str(words[0]), rest, {str(name): str(text) for name, text in given.items()})


def filled_in(server: LocalServer, variables: Mapping[str, str], notation: Notation | None) -> LocalServer:
    """With the values of the variables that it names, as its host fills them in. What is not set stays as written."""
    if notation is None:
        return server

    def fill(text: str) -> str:
        return _NAMED[notation].sub(lambda found: variables.get(found[1], found[2] or found[0]), text)

    given = {name: fill(text) for name, text in server.environment.items()}
    return LocalServer(fill(server.command), tuple(map(fill, server.arguments)), given)


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if name in value), None)


def _token_variable(value: Mapping[str, Any]) -> str | None:
    """The variable that the token comes from; VS Code asks for it instead, and so has none."""
    if named := value.get("bearer_token_env_var"):
        return str(named)
    found = _VARIABLE.search(_authorization(value))
    return next((name for name in found.groups() if name), None) if found else None


def _authorization(value: Mapping[str, Any]) -> str:
    """The header, as the entry has it."""
    options = value.get("requestOptions")
    headers = value.get("headers") or (options.get("headers") if isinstance(options, Mapping) else None)
    return str(headers.get("Authorization", "")) if isinstance(headers, Mapping) else ""

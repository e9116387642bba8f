"""What a host is told of us, before it is written in the host's own way."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
    """

    url: str
    token_variable: str | None = None


Server = LocalServer | RemoteServer

_VARIABLE = re.compile(r"\$\{\{ *secrets\.(\w+) *\}\}|\$\{(?:env:)?(\w+)\}|\{env:(\w+)\}")

_NAMED = re.compile(r"\$\{(?:env:)?(\w+)(?::-[^}]*)?\}|\{env:(\w+)\}")


def read_entry(value: object) -> Server | None:
    """What a host would do with an entry, whichever of the hosts' notations it is in; None for what is no entry."""
    if not isinstance(value, Mapping):
        return None
    if url := _first(value, "url", "uri", "httpUrl", "serverUrl"):
        return RemoteServer(str(url), _token_variable(value))
    words = _first(value, "command", "cmd")
    words = [words] if isinstance(words, str) else words
    given = _first(value, "env", "envs", "environment") or {}
    if not isinstance(words, list) or not words or not isinstance(given, Mapping):
        return None
    arguments = value.get("args") or []
    rest = tuple(str(word) for word in (*words[1:], *(arguments if isinstance(arguments, list) else ())))
    return LocalServer(str(words[0]), rest, {str(name): str(text) for name, text in given.items()})


def filled_in(server: LocalServer, variables: Mapping[str, str]) -> LocalServer:
    """With the values of the variables that it names, as hosts fill them in. One that is not there stays as it is."""

    def fill(text: str) -> str:
        return _NAMED.sub(lambda found: variables.get(next(filter(None, found.groups())), found[0]), text)

    given = {name: fill(text) for name, text in server.environment.items()}
    return LocalServer(fill(server.command), tuple(map(fill, server.arguments)), given)


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if name in value), None)


def _token_variable(value: Mapping[str, Any]) -> str | None:
    """The variable that the token comes from; VS Code asks for it instead, and so has none."""
    if named := value.get("bearer_token_env_var"):
        return str(named)
    headers = value.get("headers") or (value.get("requestOptions") or {}).get("headers") or {}
    found = _VARIABLE.search(str(headers.get("Authorization", "")))
    return next((name for name in found.groups() if name), None) if found else None

"""Our entry: the server that a host is told of, how each host writes it, and what an entry makes a host do."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from contit_mcp.hosts.document import Addition

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


TOKEN_INPUT = "contit-assistant-token"  # noqa: S105 - the name of a question


def plain(**more: Any) -> Callable[[LocalServer], dict[str, Any]]:
    """`command`, `args` and `env`, as most hosts have them; `more` stands before."""

    def entry(server: LocalServer) -> dict[str, Any]:
        command = {**more, "command": server.command, "args": list(server.arguments)}
        return command | ({"env": dict(server.environment)} if server.environment else {})

    return entry


def remote(url: str, token: str, **more: Any) -> Callable[[RemoteServer], dict[str, Any]]:
    """The address under the host's name for it, and the token as the host writes a variable called `NAME`."""

    def entry(server: RemoteServer) -> dict[str, Any]:
        bearer = token.replace("NAME", server.token_variable or "")
        headers = {"headers": {"Authorization": f"Bearer {bearer}"}} if server.token_variable and token else {}
        return {**more, url: server.url} | headers

    return entry


def codex_local(server: LocalServer) -> dict[str, Any]:
    """With the wait that Codex has by itself since 2026; before, it was 60 s."""
    return plain()(server) | {"tool_timeout_sec": 300}


def codex_remote(server: RemoteServer) -> dict[str, Any]:
    """Codex reads the token from a variable that the entry names."""
    token = {"bearer_token_env_var": server.token_variable} if server.token_variable else {}
    return {"url": server.url} | token | {"tool_timeout_sec": 300}


def continue_remote(server: RemoteServer) -> dict[str, Any]:
    """Continue has secrets of its own."""
    entry: dict[str, Any] = {"name": NAME, "type": "streamable-http", "url": server.url}
    if server.token_variable:
        entry["requestOptions"] = {"headers": {"Authorization": f"Bearer ${{{{ secrets.{server.token_variable} }}}}"}}
    return entry


def goose(server: Server) -> dict[str, Any]:
    """Goose has names of its own for all, and wants to know which variables are secret."""
    entry: dict[str, Any] = {"enabled": True, "name": NAME, "description": "Ask Contit about its content"}
    if isinstance(server, LocalServer):
        entry |= {"type": "stdio", "cmd": server.command, "args": list(server.arguments)}
        entry |= {"envs": dict(server.environment)} if server.environment else {}
    else:
        entry |= remote("uri", "${NAME}", type="streamable_http")(server)
        entry |= {"env_keys": [server.token_variable]} if server.token_variable else {}
    return entry | {"timeout": 300}


def opencode_local(server: LocalServer) -> dict[str, Any]:
    """The command and its arguments are one list in opencode."""
    entry: dict[str, Any] = {"type": "local", "command": [server.command, *server.arguments]}
    return entry | ({"environment": dict(server.environment)} if server.environment else {}) | {"enabled": True}


def librechat_local(server: LocalServer) -> dict[str, Any]:
    """LibreChat gives up after 30 s by itself, which is less than our wait."""
    return plain(type="stdio")(server) | {"timeout": 60_000}


def librechat_remote(server: RemoteServer) -> dict[str, Any]:
    """Likewise."""
    return remote("url", "${NAME}", type="streamable-http")(server) | {"timeout": 60_000}


def vscode_question(server: Server) -> list[Addition]:
    """VS Code asks for a secret once and keeps it safe; variables of the environment do not reach its headers."""
    if isinstance(server, LocalServer) or not server.token_variable:
        return []
    question = {
        "type": "promptString",
        "id": TOKEN_INPUT,
        "description": "Bearer token of your team's contit-mcp server",
        "password": True,
    }
    return [Addition("inputs", TOKEN_INPUT, question, "id")]

"""Our entry in each host's notation."""

from collections.abc import Callable
from typing import Any

from contit_mcp.hosts.addition import Addition
from contit_mcp.hosts.servers import NAME, LocalServer, RemoteServer, Server

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

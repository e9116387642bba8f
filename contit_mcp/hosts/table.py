"""The hosts that keep their servers in a file.

Where each keeps it, and what its entry looks like, as documented in November 2026; what was tried with the host itself
is in docs/hosts.md.
"""

from collections.abc import Callable
from typing import Any

from contit_mcp.hosts.formats import Addition
from contit_mcp.hosts.host import NAME, Host, LocalServer, RemoteServer, Server

# --- entries

TOKEN_INPUT = "contit-assistant-token"  # noqa: S105 - the name of a question
ASKED_TOKEN = f"${{input:{TOKEN_INPUT}}}"

Entry = dict[str, Any]


def local(
    before: Entry | None = None, after: Entry | None = None, *, command: str = "command", env: str = "env"
) -> Callable[[LocalServer], Entry]:
    """Return what writes command, arguments and variables, under the host's names, between what else it wants."""

    def entry(server: LocalServer) -> Entry:
        variables = {env: dict(server.environment)} if server.environment else {}
        return {**(before or {}), command: server.command, "args": list(server.arguments), **variables, **(after or {})}

    return entry


def remote(
    url: str, token: str, before: Entry | None = None, after: Entry | None = None
) -> Callable[[RemoteServer], Entry]:
    """Return what writes the address under the host's name for it, and the token as its variable called NAME."""

    def entry(server: RemoteServer) -> Entry:
        bearer = token.replace("NAME", server.token_variable or "")
        headers = {"headers": {"Authorization": f"Bearer {bearer}"}} if server.token_variable and token else {}
        return {**(before or {}), url: server.url, **headers, **(after or {})}

    return entry


def codex_remote(server: RemoteServer) -> Entry:
    """Name the variable that Codex reads the token from."""
    token = {"bearer_token_env_var": server.token_variable} if server.token_variable else {}
    return {"url": server.url, **token, **_CODEX_WAIT}


def continue_remote(server: RemoteServer) -> Entry:
    """Name the token as one of Continue's own secrets."""
    headers = remote("url", "${{ secrets.NAME }}", {"name": NAME, "type": "streamable-http"})(server)
    options = headers.pop("headers", None)
    return headers | ({"requestOptions": {"headers": options}} if options else {})


def goose_remote(server: RemoteServer) -> Entry:
    """Tell Goose which variables are secret."""
    secret = {"env_keys": [server.token_variable]} if server.token_variable else {}
    return remote("uri", "${NAME}", {**_GOOSE, "type": "streamable_http"}, {**secret, "timeout": 300})(server)


def opencode_local(server: LocalServer) -> Entry:
    """Write the command and its arguments as one list."""
    variables = {"environment": dict(server.environment)} if server.environment else {}
    return {"type": "local", "command": [server.command, *server.arguments], **variables, "enabled": True}


def vscode_question(server: Server) -> list[Addition]:
    """Let VS Code ask for the token once and keep it safe; variables of the environment do not reach its headers."""
    if isinstance(server, LocalServer) or not server.token_variable:
        return []
    question = {
        "type": "promptString",
        "id": TOKEN_INPUT,
        "description": "Bearer token of your team's contit-mcp server",
        "password": True,
    }
    return [Addition("inputs", TOKEN_INPUT, question, "id", used_as=ASKED_TOKEN)]


# --- hosts

_CONTINUE_HEAD = {"name": "My configuration", "version": "1.0.0", "schema": "v1"}
_GOOSE = {"enabled": True, "name": NAME, "description": "Ask Contit about its content"}
_CODEX_WAIT = {"tool_timeout_sec": 300}  # its default since 2026; before, it was 60 s
_ALL_TOOLS = {"tools": ["*"]}
_LIBRECHAT_WAIT = {"timeout": 60_000}  # its default of 30 s is less than our wait


_ALL = (
    Host(
        "claude-desktop", "Claude Desktop", "json", "mcpServers",
        {"user": "{claude-desktop}/claude_desktop_config.json"},
        local(), None,
        "Quit Claude Desktop, not only its window, and start it again.",
        "modelcontextprotocol.io/docs/develop/connect-local-servers; Windows: anthropics/claude-code#26073",
        misreads="comments and trailing commas",
    ),
    Host(
        "claude-code", "Claude Code", "json", "mcpServers",
        {"user": "{claude}/.claude.json", "project": "{project}/.mcp.json"},
        local({"type": "stdio"}), remote("url", "${NAME}", {"type": "http"}),
        "Start a new session; `claude mcp list` shows it.",
        "code.claude.com/docs/en/mcp",
        variables="${NAME}",
    ),
    Host(
        "codex", "Codex", "toml", "mcp_servers",
        {"user": "{codex}/config.toml", "project": "{project}/.codex/config.toml"},
        local(after=_CODEX_WAIT), codex_remote,
        "Start a new session; `codex mcp list` shows it.",
        "developers.openai.com/codex/mcp",
    ),
    Host(
        "gemini-cli", "Gemini CLI", "json", "mcpServers",
        {"user": "{home}/.gemini/settings.json", "project": "{project}/.gemini/settings.json"},
        local(), remote("httpUrl", "${NAME}"),
        "Start a new session in a folder that you trust; `gemini mcp list` shows it.",
        "google-gemini/gemini-cli docs/tools/mcp-server.md",
        variables="${NAME}",
        misreads="trailing commas",
    ),
    Host(
        "cursor", "Cursor", "json", "mcpServers",
        {"user": "{home}/.cursor/mcp.json", "project": "{project}/.cursor/mcp.json"},
        local(), remote("url", "${env:NAME}"),
        "Restart Cursor, and switch the server on under MCPs if it is off.",
        "cursor.com/docs/mcp",
        variables="${env:NAME}",
    ),
    Host(
        "vscode", "VS Code", "json", "servers",
        {"user": "{applications}/Code/User/mcp.json", "project": "{project}/.vscode/mcp.json"},
        local({"type": "stdio"}), remote("url", ASKED_TOKEN, {"type": "http"}),
        "Run the command `MCP: List Servers` and start contit-assistant.",
        "code.visualstudio.com/docs/copilot/reference/mcp-configuration; headers: microsoft/vscode#336232",
        variables="${env:NAME}",
        beside=vscode_question,
        remote_note="VS Code asks for the token when it starts the server.",
    ),
    Host(
        "windsurf", "Windsurf", "json", "mcpServers",
        {"user": "{home}/.codeium/windsurf/mcp_config.json"},
        local(), remote("serverUrl", "${env:NAME}"),
        "Refresh the servers in Cascade's MCP panel.",
        "docs.windsurf.com/windsurf/cascade/mcp",
        variables="${env:NAME}",
    ),
    Host(
        "zed", "Zed", "json", "context_servers",
        {"user": "{zed}/settings.json", "project": "{project}/.zed/settings.json"},
        local(), remote("url", ""),
        "Zed sees it at once; a green dot in the Agent Panel's settings shows that it runs.",
        "zed.dev/docs/ai/mcp; headers: zed-industries/zed#60459",
        remote_note="Zed fills in no variables, so the entry has no token: it suits servers that want none, or OAuth.",
    ),
    Host(
        "continue", "Continue", "yaml", "mcpServers",
        {
            "user": "{home}/.continue/config.yaml",
            "project": f"{{project}}/.continue/mcpServers/{NAME}.yaml",
        },
        local({"name": NAME, "type": "stdio"}), continue_remote,
        "Continue sees it at once; it lists tools in agent mode.",
        "docs.continue.dev/customize/deep-dives/mcp",
        named_by="name",
        head=_CONTINUE_HEAD,
        remote_note="Continue reads the token from its own file of secrets, ~/.continue/.env.",
        hides="config.json",  # continuedev/continue core/config/profile/doLoadConfig.ts
    ),
    Host(
        "goose", "Goose", "yaml", "extensions",
        {"user": "{goose}/config.yaml"},
        local({**_GOOSE, "type": "stdio"}, {"timeout": 300}, command="cmd", env="envs"), goose_remote,
        "Start a new session; `goose info -v` shows it.",
        "block/goose documentation/docs/guides/config-files.md",
    ),
    Host(
        "opencode", "opencode", "json", "mcp",
        {"user": "{config}/opencode/opencode.json|opencode.jsonc|config.json", "project": "{project}/opencode.json"},
        opencode_local, remote("url", "{env:NAME}", {"type": "remote"}),
        "Start a new session; `opencode mcp list` shows it.",
        "opencode.ai/docs/mcp-servers",
        variables="{env:NAME}",
        head={"$schema": "https://opencode.ai/config.json"},
    ),
    Host(
        "lm-studio", "LM Studio", "json", "mcpServers",
        {"user": "{home}/.lmstudio/mcp.json"},
        local(), remote("url", ""),
        "Switch the server on in the Program tab, under Integrations.",
        "lmstudio.ai/docs/app/mcp",
        remote_note="LM Studio fills in no variables, so the entry has no token: it suits servers that want none.",
    ),
    Host(
        "librechat", "LibreChat", "yaml", "mcpServers",
        {"project": "{project}/librechat.yaml"},
        local({"type": "stdio"}, _LIBRECHAT_WAIT),
        remote("url", "${NAME}", {"type": "streamable-http"}, _LIBRECHAT_WAIT),
        "Restart LibreChat. In a container the command has to be inside it: a remote entry suits better.",
        "librechat.ai/docs/configuration/librechat_yaml/object_structure/mcp_servers",
        variables="${NAME}",
        head={"version": "1.3.0"},
    ),
    Host(
        "copilot-cli", "Copilot CLI", "json", "mcpServers",
        {"user": "{copilot}/mcp-config.json", "project": "{project}/.github/mcp.json"},
        local({"type": "local"}, _ALL_TOOLS), remote("url", "${NAME}", {"type": "http"}, _ALL_TOOLS),
        "Start a new session; `copilot mcp list` shows it.",
        "docs.github.com/en/copilot/how-tos/copilot-cli/customize-copilot/add-mcp-servers",
        variables="${NAME}",
    ),
)  # fmt: skip

HOSTS = {host.slug: host for host in _ALL}

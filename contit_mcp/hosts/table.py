"""The hosts that keep their servers in a file: where each keeps it, and what its entry looks like. One row a host.

The comment of a row is where the host documents it (read in November 2026); docs/hosts.md says what was tried.
"""

from contit_mcp.hosts.formats import Addition
from contit_mcp.hosts.host import NAME, Entry, Host, LocalServer, RemoteServer

_TOKEN_INPUT = "contit-assistant-token"  # noqa: S105 - the name of a question
_ASKED_TOKEN = f"${{input:{_TOKEN_INPUT}}}"
_VSCODE_QUESTION = Addition(
    "inputs",
    _TOKEN_INPUT,
    {
        "type": "promptString",
        "id": _TOKEN_INPUT,
        "description": "Bearer token of your team's contit-mcp server",
        "password": True,
    },
    named_by="id",
    used_as=_ASKED_TOKEN,
)
"""VS Code asks for the token once and stores it; variables of the environment do not reach its headers."""

_CONTINUE_HEAD = {"name": "My configuration", "version": "1.0.0", "schema": "v1"}
_GOOSE = {"enabled": True, "name": NAME, "description": "Ask Contit about its content"}
_CODEX_WAIT = {"tool_timeout_sec": 300}  # its default since 2026; before, it was 60 s
_ALL_TOOLS = {"tools": ["*"]}
_LIBRECHAT_WAIT = {"timeout": 60_000}  # its default of 30 s is less than our wait


def _codex_remote(it: RemoteServer) -> Entry:
    token = {"bearer_token_env_var": it.token_variable} if it.token_variable else {}
    return {"url": it.url, **token, **_CODEX_WAIT}


def _continue_remote(it: RemoteServer) -> Entry:
    headers = it.headers("${{ secrets.NAME }}")
    options = {"requestOptions": headers} if headers else {}
    return {"name": NAME, "type": "streamable-http", "url": it.url, **options}


def _goose_remote(it: RemoteServer) -> Entry:
    secret = {"env_keys": [it.token_variable]} if it.token_variable else {}
    return {**_GOOSE, "type": "streamable_http", "uri": it.url, **it.headers("${NAME}"), **secret, "timeout": 300}


def _opencode_local(it: LocalServer) -> Entry:
    command = [it.command, *it.arguments]
    return {"type": "local", "command": command, **it.variables("environment"), "enabled": True}


_ALL = (  # slug, title, format, section; files; local and remote entry; what shows it; then what is particular
    Host(  # modelcontextprotocol.io/docs/develop/connect-local-servers; Windows: anthropics/claude-code#26073
        "claude-desktop", "Claude Desktop", "json", "mcpServers",
        {"user": "{claude-desktop}/claude_desktop_config.json"},
        LocalServer.entry, None,
        "Quit Claude Desktop, not only its window, and start it again.",
        misreads="comments or trailing commas",
    ),
    Host(  # code.claude.com/docs/en/mcp
        "claude-code", "Claude Code", "json", "mcpServers",
        {"user": "{claude}/.claude.json", "project": "{project}/.mcp.json"},
        lambda it: {"type": "stdio", **it.entry()},
        lambda it: {"type": "http", "url": it.url, **it.headers("${NAME}")},
        "Start a new session; `claude mcp list` shows it.",
        variables="${NAME}",
    ),
    Host(  # developers.openai.com/codex/mcp
        "codex", "Codex", "toml", "mcp_servers",
        {"user": "{codex}/config.toml", "project": "{project}/.codex/config.toml"},
        lambda it: it.entry() | _CODEX_WAIT, _codex_remote,
        "Start a new session; `codex mcp list` shows it.",
    ),
    Host(  # google-gemini/gemini-cli docs/tools/mcp-server.md
        "gemini-cli", "Gemini CLI", "json", "mcpServers",
        {"user": "{home}/.gemini/settings.json", "project": "{project}/.gemini/settings.json"},
        LocalServer.entry, lambda it: {"httpUrl": it.url, **it.headers("${NAME}")},
        "Start a new session in a folder that you trust; `gemini mcp list` shows it.",
        variables="${NAME}",
        misreads="trailing commas",
    ),
    Host(  # cursor.com/docs/mcp
        "cursor", "Cursor", "json", "mcpServers",
        {"user": "{home}/.cursor/mcp.json", "project": "{project}/.cursor/mcp.json"},
        LocalServer.entry, lambda it: {"url": it.url, **it.headers("${env:NAME}")},
        "Restart Cursor, and switch the server on under MCPs if it is off.",
        variables="${env:NAME}",
    ),
    Host(  # code.visualstudio.com/docs/copilot/reference/mcp-configuration; headers: microsoft/vscode#336232
        "vscode", "VS Code", "json", "servers",
        {"user": "{applications}/Code/User/mcp.json", "project": "{project}/.vscode/mcp.json"},
        lambda it: {"type": "stdio", **it.entry()},
        lambda it: {"type": "http", "url": it.url, **it.headers(_ASKED_TOKEN)},
        "Run the command `MCP: List Servers` and start contit-assistant.",
        variables="${env:NAME}",
        question=_VSCODE_QUESTION,
        remote_note="VS Code asks for the token when it starts the server.",
    ),
    Host(  # docs.windsurf.com/windsurf/cascade/mcp
        "windsurf", "Windsurf", "json", "mcpServers",
        {"user": "{home}/.codeium/windsurf/mcp_config.json"},
        LocalServer.entry, lambda it: {"serverUrl": it.url, **it.headers("${env:NAME}")},
        "Refresh the servers in Cascade's MCP panel.",
        variables="${env:NAME}",
    ),
    Host(  # zed.dev/docs/ai/mcp; headers: zed-industries/zed#60459
        "zed", "Zed", "json", "context_servers",
        {"user": "{zed}/settings.json", "project": "{project}/.zed/settings.json"},
        LocalServer.entry, lambda it: {"url": it.url},
        "Zed sees it at once; a green dot in the Agent Panel's settings shows that it runs.",
        remote_note="Zed fills in no variables, so the entry has no token: it suits servers that want none, or OAuth.",
    ),
    Host(  # docs.continue.dev/customize/deep-dives/mcp
        "continue", "Continue", "yaml", "mcpServers",
        {"user": "{home}/.continue/config.yaml", "project": f"{{project}}/.continue/mcpServers/{NAME}.yaml"},
        lambda it: {"name": NAME, "type": "stdio", **it.entry()}, _continue_remote,
        "Continue sees it at once; it lists tools in agent mode.",
        named_by="name",
        head=_CONTINUE_HEAD,
        remote_note="Continue reads the token from its own file of secrets, ~/.continue/.env.",
        hides="config.json",  # continuedev/continue core/config/profile/doLoadConfig.ts
    ),
    Host(  # block/goose documentation/docs/guides/config-files.md
        "goose", "Goose", "yaml", "extensions",
        {"user": "{goose}/config.yaml"},
        lambda it: {**_GOOSE, "type": "stdio", **it.entry("cmd", "envs"), "timeout": 300}, _goose_remote,
        "Start a new session; `goose info -v` shows it.",
    ),
    Host(  # opencode.ai/docs/mcp-servers
        "opencode", "opencode", "json", "mcp",
        {"user": "{config}/opencode/opencode.json|opencode.jsonc|config.json", "project": "{project}/opencode.json"},
        _opencode_local,
        lambda it: {"type": "remote", "url": it.url, **it.headers("{env:NAME}")},
        "Start a new session; `opencode mcp list` shows it.",
        variables="{env:NAME}",
        head={"$schema": "https://opencode.ai/config.json"},
    ),
    Host(  # lmstudio.ai/docs/app/mcp
        "lm-studio", "LM Studio", "json", "mcpServers",
        {"user": "{home}/.lmstudio/mcp.json"},
        LocalServer.entry, lambda it: {"url": it.url},
        "Switch the server on in the Program tab, under Integrations.",
        remote_note="LM Studio fills in no variables, so the entry has no token: it suits servers that want none.",
    ),
    Host(  # librechat.ai/docs/configuration/librechat_yaml/object_structure/mcp_servers
        "librechat", "LibreChat", "yaml", "mcpServers",
        {"project": "{project}/librechat.yaml"},
        lambda it: {"type": "stdio", **it.entry(), **_LIBRECHAT_WAIT},
        lambda it: {"type": "streamable-http", "url": it.url, **it.headers("${NAME}"), **_LIBRECHAT_WAIT},
        "Restart LibreChat. In a container the command has to be inside it: a remote entry suits better.",
        variables="${NAME}",
        head={"version": "1.3.0"},
    ),
    Host(  # docs.github.com/en/copilot/how-tos/copilot-cli/customize-copilot/add-mcp-servers
        "copilot-cli", "Copilot CLI", "json", "mcpServers",
        {"user": "{copilot}/mcp-config.json", "project": "{project}/.github/mcp.json"},
        lambda it: {"type": "local", **it.entry(), **_ALL_TOOLS},
        lambda it: {"type": "http", "url": it.url, **it.headers("${NAME}"), **_ALL_TOOLS},
        "Start a new session; `copilot mcp list` shows it.",
        variables="${NAME}",
    ),
)  # fmt: skip

HOSTS = {host.slug: host for host in _ALL}

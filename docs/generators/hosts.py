"""Writes configs/hosts/ from the table of hosts, one file for each host and transport; --check says what is stale."""

import json
import sys
from pathlib import Path

from contit_mcp.hosts.host import NAME, TOKEN_VARIABLE, LocalServer, RemoteServer
from contit_mcp.hosts.installing import new_file
from contit_mcp.hosts.table import HOSTS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "hosts"


def local(home: str, state: str = ".local/state") -> LocalServer:
    """As it is installed by the README, below a home folder."""
    environment = {"CONTIT_API_KEY_FILE": f"{home}/{state}/contit-mcp/api-key"}
    return LocalServer(f"{home}/.contit-mcp/bin/contit-mcp", ("stdio",), environment)


LOCAL = local("/home/you")
LOCAL_ON_MACOS = local("/Users/you", "Library/Application Support")
SHARED = local("${HOME}")
"""For a file that a team keeps with its project: Claude Code fills in the variable."""
REMOTE = RemoteServer("https://contit-mcp.example.com/mcp", TOKEN_VARIABLE)

N8N = {
    "name": "Ask Contit",
    "nodes": [
        {
            "name": NAME,
            "type": "@n8n/n8n-nodes-langchain.mcpClientTool",
            "typeVersion": 1.2,
            "position": [0, 0],
            "parameters": {
                "endpointUrl": REMOTE.url,
                "serverTransport": "httpStreamable",
                "authentication": "bearerAuth",
                "options": {"timeout": 60_000},
            },
        }
    ],
    "connections": {},
}
"""n8n keeps no file. This is a node to paste into a workflow; the token goes into a Bearer Auth credential of n8n."""


def files() -> dict[str, str]:
    """Every file's name and text."""
    written = {"n8n.http.json": json.dumps(N8N, indent=2) + "\n"}
    for host in HOSTS.values():
        written[f"{host.slug}.stdio.{host.format}"] = new_file(host, LOCAL)
        if host.remote is not None:
            written[f"{host.slug}.http.{host.format}"] = new_file(host, REMOTE)
    written["claude-desktop.stdio.json"] = new_file(HOSTS["claude-desktop"], LOCAL_ON_MACOS)  # it does not run on Linux
    written["claude-code-shared.stdio.json"] = new_file(HOSTS["claude-code"], SHARED)
    return dict(sorted(written.items()))


if __name__ == "__main__":
    should_be = files()
    are = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*") if path.is_file()}
    if "--check" in sys.argv:
        for name in sorted(are.keys() | should_be.keys()):
            if are.get(name) != should_be.get(name):
                sys.exit(f"configs/hosts/{name} is stale: make docs")
    else:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in should_be.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        for name in are.keys() - should_be.keys():
            (FOLDER / name).unlink()

"""The ready entries in configs/hosts work as they are, once the home folder in them is the user's own."""

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from contit_mcp.config.sources import load_settings
from contit_mcp.hosts.host import LocalServer, RemoteServer, Server, filled_in, read_entry
from contit_mcp.hosts.table import HOSTS
from tests.children import anyio_backend, sandbox_on_port, stdio_child
from tests.rules.tree import ROOT

__all__ = ["anyio_backend"]
FILES = sorted(path for path in (ROOT / "configs" / "hosts").iterdir() if path.name != "n8n.http.json")
READERS: dict[str, Callable[[str], Any]] = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}


def entry_of(path: Path) -> Server:
    """Return the server that this file makes its host use."""
    host = HOSTS[path.name.split(".")[0].removesuffix("-shared")]
    section = READERS[path.suffix](path.read_text(encoding="utf-8"))[host.section]
    server = read_entry(section["contit-assistant"] if host.named_by is None else section[0])
    assert server is not None, path.name
    return server


@pytest.mark.anyio
async def test_the_command_of_every_entry_answers(tmp_path: Path) -> None:
    servers = [server for path in FILES if isinstance(server := entry_of(path), LocalServer)]
    assert len(servers) == len(HOSTS) + 1
    # All entries are the same, so one is tried for all. Before the comparison, the variable in the shared one is filled
    # in, as Claude Code does (documented), and paths of macOS become those of Linux.
    on_linux = {"/Users/you": "/home/you", "Library/Application Support": ".local/state"}
    filled = [filled_in(server, {"HOME": "/home/you"}, HOSTS["claude-code"].variables) for server in servers]
    words = {re.sub("|".join(on_linux), lambda it: on_linux[it[0]], json.dumps(asdict(server))) for server in filled}
    assert words == {json.dumps(asdict(servers[-1]))}
    assert servers[-1].command.endswith("/.contit-mcp/bin/contit-mcp")
    assert servers[-1].arguments == ("stdio",)
    (tmp_path / "api-key").write_text("sandbox-key\n")
    placed = {name: re.sub(r".*/contit-mcp", str(tmp_path), text) for name, text in servers[-1].environment.items()}
    load_settings(environment=placed)
    async with sandbox_on_port() as (url, _), stdio_child({"CONTIT_BASE_URL": url, **placed}) as child:
        await child.initialize()
        result = await child.call(2, "contit_ask", {"prompt": "How many drafts are there?"})
        assert result["structuredContent"]["status"] == "completed"


@pytest.mark.parametrize(
    ("slug", "expected"),
    [
        ("claude-desktop", ["{env:A}", "${env:A}", "${A}", "${B}", "${A:-b}", "${B:-b}"]),
        ("claude-code", ["{env:A}", "${env:A}", "1", "${B}", "1", "b"]),
        ("cursor", ["{env:A}", "1", "${A}", "${B}", "${A:-b}", "${B:-b}"]),
        ("opencode", ["1", "$1", "${A}", "${B}", "${A:-b}", "${B:-b}"]),
    ],
)
def test_each_host_fills_in_variables_in_its_own_notation_alone(slug: str, expected: list[str]) -> None:
    """Otherwise `check` would accept an entry whose variables its host does not fill in (the hosts' documentation)."""
    entry = LocalServer("x", ("{env:A}", "${env:A}", "${A}", "${B}", "${A:-b}", "${B:-b}"), {"X": "$A"})
    assert filled_in(entry, {"A": "1"}, HOSTS[slug].variables) == LocalServer("x", tuple(expected), {"X": "$A"})


def test_remote_entries_name_a_variable_and_hold_no_token() -> None:
    """VS Code asks for the token, Zed and LM Studio fill in no variable (their documentation), n8n stores credentials."""
    for path in FILES:
        server = entry_of(path)
        if isinstance(server, RemoteServer):
            assert server.url == "https://contit-mcp.example.com/mcp"
            without = path.stem.split(".")[0] in {"vscode", "zed", "lm-studio"}
            assert server.token_variable == (None if without else "CONTIT_ASSISTANT_TOKEN"), path.name
    node = json.loads((ROOT / "configs" / "hosts" / "n8n.http.json").read_text())["nodes"][0]["parameters"]
    assert node["endpointUrl"] == "https://contit-mcp.example.com/mcp"
    assert node["authentication"] == "bearerAuth"

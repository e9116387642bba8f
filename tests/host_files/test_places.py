"""Where hosts keep their files, and the command that an entry names."""

import os
import venv
from pathlib import Path

import pytest

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import own_command
from contit_mcp.hosts.host import Machine, Scope, System
from contit_mcp.hosts.table import HOSTS

HOME = Path("/home/you")
PROJECT = Path("/project")

APPLICATIONS = {"macos": "Library/Application Support", "windows": "AppData/Roaming", "linux": ".config"}
ZED = dict.fromkeys(("macos", "linux"), ".config/zed") | {"windows": "AppData/Roaming/Zed"}
GOOSE = dict.fromkeys(("macos", "linux"), ".config/goose") | {"windows": "AppData/Roaming/Block/goose/config"}


@pytest.mark.parametrize(
    ("slug", "folders", "path"),
    [
        ("claude-desktop", APPLICATIONS, "Claude/claude_desktop_config.json"),
        ("vscode", APPLICATIONS, "Code/User/mcp.json"),
        ("zed", ZED, "settings.json"),
        ("goose", GOOSE, "config.yaml"),
        ("claude-code", {}, ".claude.json"),
        ("codex", {}, ".codex/config.toml"),
        ("gemini-cli", {}, ".gemini/settings.json"),
        ("cursor", {}, ".cursor/mcp.json"),
        ("windsurf", {}, ".codeium/windsurf/mcp_config.json"),
        ("continue", {}, ".continue/config.yaml"),
        ("opencode", {}, ".config/opencode/opencode.json"),
        ("lm-studio", {}, ".lmstudio/mcp.json"),
        ("copilot-cli", {}, ".copilot/mcp-config.json"),
    ],
)
def test_each_system_has_its_folders(slug: str, folders: dict[System, str], path: str) -> None:
    """The hosts document these folders (the sources are in contit_mcp/hosts/table.py)."""
    systems: tuple[System, ...] = ("macos", "windows", "linux")
    for system in systems:
        assert HOSTS[slug].place(Machine(system, HOME, PROJECT, {})).path == HOME / folders.get(system, "") / path


@pytest.mark.parametrize(
    ("slug", "scope", "variables", "path"),
    [
        ("claude-code", "project", {}, "/project/.mcp.json"),
        ("codex", "project", {}, "/project/.codex/config.toml"),
        ("continue", "project", {}, "/project/.continue/mcpServers/contit-assistant.yaml"),
        ("librechat", "project", {}, "/project/librechat.yaml"),
        ("goose", "user", {"XDG_CONFIG_HOME": "/xdg"}, "/xdg/goose/config.yaml"),
        ("vscode", "user", {"XDG_CONFIG_HOME": "/xdg"}, "/xdg/Code/User/mcp.json"),
        ("codex", "user", {"CODEX_HOME": "/codex"}, "/codex/config.toml"),
        ("claude-code", "user", {"CLAUDE_CONFIG_DIR": "/claude"}, "/claude/.claude.json"),
        ("copilot-cli", "user", {"COPILOT_HOME": " "}, "/home/you/.copilot/mcp-config.json"),
        ("goose", "user", {"XDG_CONFIG_HOME": "relative"}, "/home/you/.config/goose/config.yaml"),
    ],
)
def test_projects_and_moved_folders_are_found(slug: str, scope: Scope, variables: dict[str, str], path: str) -> None:
    """A variable that is blank or not a full path counts as not set."""
    assert HOSTS[slug].place(Machine("linux", HOME, PROJECT, variables), scope).path == Path(path)


def test_the_packaged_claude_desktop_of_windows_reads_its_own_folder(tmp_path: Path) -> None:
    """It is packaged since February 2026, and ignores a file elsewhere (anthropics/claude-code#26073)."""
    folder = tmp_path / "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming"
    folder.mkdir(parents=True)
    machine = Machine("windows", tmp_path, PROJECT, {})
    assert HOSTS["claude-desktop"].place(machine).path == folder / "Claude/claude_desktop_config.json"
    assert HOSTS["claude-desktop"].place(Machine("macos", tmp_path, PROJECT, {})).path.parts[-3] != "Roaming"


def test_of_two_possible_files_the_one_that_exists_is_used(tmp_path: Path) -> None:
    """Opencode reads .jsonc too (its documentation)."""
    there = tmp_path / ".config/opencode/opencode.jsonc"
    there.parent.mkdir(parents=True)
    there.touch()
    assert HOSTS["opencode"].place(Machine("linux", tmp_path, PROJECT, {})).path == there


# --- our own command


@pytest.mark.skipif(os.name == "nt", reason="it takes a script for Python")
def test_an_entry_names_the_full_path_of_our_script_or_python_with_our_module(tmp_path: Path) -> None:
    """A link is not resolved. If we run as a module, the script beside the interpreter is named."""
    python, script, link = (tmp_path / name for name in ("python", "contit-mcp", "bin/contit-mcp"))
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o700)
    module = "/x/contit_mcp/__main__.py"
    assert own_command(module, str(python)) == (str(python), "-P", "-m", "contit_mcp")
    script.touch()
    link.parent.mkdir()
    link.symlink_to(script)
    for called, named in ((module, script), (f"{tmp_path}/./contit-mcp", script), (str(link), link)):
        assert own_command(called, str(python)) == (str(named),)


def test_a_command_that_would_not_work_later_is_refused(tmp_path: Path) -> None:
    """`python -m contit_mcp` finds a checkout only in the current folder. `uvx` and `pipx run` delete what they make."""
    venv.create(tmp_path / "bare", with_pip=False)
    bare = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with pytest.raises(ConfigurationError, match="is not installed"):
        own_command(str(tmp_path / "contit_mcp" / "__main__.py"), str(bare))
    for cache in ("/home/you/.cache/uv/archive-v0/abc/bin", "/home/you/.local/share/pipx/.cache/abc/bin"):
        with pytest.raises(ConfigurationError, match="runs from a cache") as refused:
            own_command(f"{cache}/contit-mcp", f"{cache}/python")
        assert "uv tool install" in refused.value.hint

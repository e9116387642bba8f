"""Entries of our name that install did not write are taken out too, and nothing else with them."""

from pathlib import Path

import pytest

from contit_mcp.exceptions import ConfigurationError
from contit_mcp.hosts.installing import uninstall
from contit_mcp.hosts.installs import Install, Installs
from contit_mcp.hosts.table import HOSTS


@pytest.mark.parametrize(
    ("slug", "text", "after"),
    [
        ("cursor", '{"mcpServers": {"contit-assistant": {"command": "x"}}}', "{}"),
        ("cursor", '{"a": 1, "mcpServers": {"contit-assistant": {}},}', '{"a": 1,}'),
        (
            "cursor",
            '{\n  "mcpServers": {\n    // mine\n    "other": {},\n    "contit-assistant": {"command": "x"}\n  }\n}\n',
            '{\n  "mcpServers": {\n    // mine\n    "other": {}\n  }\n}\n',
        ),
        (
            "cursor",
            '{\n\t"mcpServers": {\n\t\t"contit-assistant": {},\n\t\t"other": {}, // mine\n\t},\n}\n',
            '{\n\t"mcpServers": {\n\t\t"other": {}, // mine\n\t},\n}\n',
        ),
        (
            "vscode",
            '{"servers": {"contit-assistant": {}, "o": {}}, "inputs": [{"id": "contit-assistant-token"}, {"id": "o"}]}',
            '{"servers": {"o": {}}, "inputs": [{"id": "o"}]}',
        ),
        (
            "codex",
            (
                "a = 1\n\n[mcp_servers.contit-assistant]\ncommand = 'x'\n\n[mcp_servers.contit-assistant.env]\nA = 'b'\n"
                "\n# next\n[other]\na = 1\n"
            ),
            "a = 1\n\n# next\n[other]\na = 1\n",
        ),
        ("codex", '[ mcp_servers . "contit-assistant" ] # ours\nurl = "x"', ""),
        (
            "goose",
            "extensions:\n  contit-assistant: {cmd: x}\n  # mine\n  other: {cmd: y}\nz: 1\n",
            "extensions:\n  # mine\n  other: {cmd: y}\nz: 1\n",
        ),
        ("goose", "extensions: {contit-assistant: {cmd: x}}\nz: 1\n", "z: 1\n"),
        (
            "goose",
            "extensions:\n  other:\n    cmd: y\n  contit-assistant:\n    cmd: x\n    description: |\n      a\n      b\nz: 1\n",
            "extensions:\n  other:\n    cmd: y\nz: 1\n",
        ),
        (
            "continue",
            "mcpServers:\n- name: other\n\n# ours\n- name: contit-assistant\n  command: x\n# end\n",
            "mcpServers:\n- name: other\n\n# ours\n# end\n",
        ),
    ],
)
def test_an_entry_by_hand_is_taken_out(slug: str, text: str, after: str, tmp_path: Path) -> None:
    """Comments that are not inside it stay (our choice)."""
    file = tmp_path / "file"
    file.write_bytes(text.encode())
    assert uninstall(HOSTS[slug], file, Installs(tmp_path / "none")) is not None
    assert file.read_bytes().decode() == after


@pytest.mark.parametrize(
    ("slug", "text"),
    [
        ("codex", "mcp_servers.contit-assistant.command = 'x'\n"),
        ("codex", "[mcp_servers]\ncontit-assistant = { command = 'x' }\n"),
        ("goose", "extensions: {contit-assistant: {cmd: x}, other: {cmd: y}}\n"),
        ("goose", "extensions: {contit-assistant: &x {cmd: x}}\nz: *x\n"),
        ("cursor", '{"mcpServers": {"contit-assistant": {}, "contit-assistant": {}, "o": 1}}'),
    ],
)
def test_what_cannot_be_taken_out_safely_is_left_alone(slug: str, text: str, tmp_path: Path) -> None:
    """The error names the file; a person sees at once what is meant (our choice)."""
    file = tmp_path / "file"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="left alone") as refused:
        uninstall(HOSTS[slug], file, Installs(tmp_path / "none"))
    assert str(file) in refused.value.message
    assert file.read_text(encoding="utf-8") == text


def test_a_memory_that_cannot_be_read_is_as_good_as_none(tmp_path: Path) -> None:
    """It is of use, and of no more (our choice)."""
    (tmp_path / "host-entries.json").write_text("broken")
    installs = Installs.load(tmp_path)
    assert installs.files() == []
    installs.remember(Install("cursor", "/file", ("piece",)))
    assert Installs.load(tmp_path).of("cursor", Path("/file")) == Install("cursor", "/file", ("piece",))
    installs.forget("cursor", Path("/file"))
    assert not (tmp_path / "host-entries.json").exists()

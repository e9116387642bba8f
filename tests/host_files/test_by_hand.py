"""Entries of our name that install did not write are taken out too, and nothing else with them."""

import json
import os
import sys
from pathlib import Path

import pytest

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import LocalServer, RemoteServer, read_entry
from contit_mcp.hosts.installing import Install, Installs, carry_out, entry_in, names_key_file, plan_install, uninstall
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
                "\n[other]\na = 1 # next\n"
            ),
            "a = 1\n\n[other]\na = 1 # next\n",
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
            "mcpServers:\n- name: other\n\n# ours\n- name: contit-assistant\n  command: x\n",
            "mcpServers:\n- name: other\n\n# ours\n",
        ),
        ("codex", "mcp_servers.contit-assistant.command = 'x'\n", ""),
        (
            "codex",
            "[mcp_servers]\ncontit-assistant = { command = 'x' }\nother = { command = 'y' } # mine\n",
            "[mcp_servers]\nother = { command = 'y' } # mine\n",
        ),
        ("goose", "extensions: {contit-assistant: {cmd: x}, other: {cmd: y}}\n", "extensions: {other: {cmd: y}}\n"),
        ("goose", "extensions:\n  contit-assistant:\n    cmd: x\n", ""),
        ("goose", "extensions: {contit-assistant: &x {cmd: x}}\nz: *x\n", "z: {cmd: x}\n"),
    ],
)
def test_an_entry_by_hand_is_taken_out(slug: str, text: str, after: str, tmp_path: Path) -> None:
    """Comments elsewhere stay; where the format's library rewrites the file, a copy is kept and named."""
    file = tmp_path / "file"
    file.write_bytes(text.encode())
    removal = uninstall(HOSTS[slug], file, Installs(tmp_path / "none"))
    assert removal.found
    assert file.read_bytes().decode() == after
    backups = [backup.read_bytes().decode() for backup in removal.backups]
    assert backups == ([] if HOSTS[slug].format == "json" else [text])


@pytest.mark.parametrize(
    ("slug", "text"),
    [
        ("cursor", '{"mcpServers": {"o": {}}, "mcpServers": {"contit-assistant": {}}}'),
        ("cursor", '{"mcpServers": {"contit-assistant": {}, "contit-assistant": {}, "o": 1}}'),
    ],
)
def test_what_cannot_be_taken_out_safely_is_left_alone(slug: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="left alone") as refused:
        uninstall(HOSTS[slug], file, Installs(tmp_path / "none"))
    assert str(file) in refused.value.message
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["a: 2024-13-45\n", "a: =\n", "a: 2024-01-01\n"])
def test_what_only_old_yaml_takes_for_a_date_is_text(text: str, tmp_path: Path) -> None:
    """Hosts read YAML 1.2, where it is no error (its specification)."""
    file, installs = tmp_path / "file", Installs(tmp_path / "installs")
    file.write_text(text)
    carry_out(plan_install(HOSTS["goose"], file, LocalServer("/x"), installs), installs)
    assert entry_in(HOSTS["goose"], file) == LocalServer("/x")
    uninstall(HOSTS["goose"], file, installs)
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("slug", "text"),
    [
        ("cursor", '{"a": ' + "1" * 5000 + "}"),
        ("codex", "a = " + "[" * 3000 + "]" * 3000),
        ("goose", "a: " + "[" * 3000 + "]" * 3000),
        ("goose", "a: 0b_\n"),
    ],
)
def test_what_a_reader_stumbles_over_is_one_clear_error(slug: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="left alone"):
        plan_install(HOSTS[slug], file, LocalServer("/x"), Installs(tmp_path / "none"))


def test_a_host_that_writes_its_file_anew_has_not_changed_our_entry(tmp_path: Path) -> None:
    """Claude Code does, each time that it is used; another entry of ours may take its place then."""
    host, file, installs = HOSTS["claude-code"], tmp_path / "file", Installs(tmp_path / "installs")
    carry_out(plan_install(host, file, LocalServer("/x", ("stdio", "--sandbox")), installs), installs)
    file.write_text(json.dumps({"numStartups": 2} | json.loads(file.read_text()), indent=2))
    assert plan_install(host, file, LocalServer("/x"), installs).change == "replaced"
    carry_out(plan_install(host, file, LocalServer("/x"), installs), installs)
    assert uninstall(host, file, installs).found
    assert json.loads(file.read_text()) == {"numStartups": 2}


def test_a_file_that_changed_after_the_look_is_left_alone(tmp_path: Path) -> None:
    """Hosts write while they run, and a person may have been asked for a key in between."""
    file, installs = tmp_path / "file", Installs(tmp_path / "installs")
    plan = plan_install(HOSTS["cursor"], file, LocalServer("/x"), installs)
    file.write_text('{"new": 1}')
    with pytest.raises(ConfigurationError, match="changed meanwhile"):
        carry_out(plan, installs)
    assert file.read_text() == '{"new": 1}'


def test_a_new_file_that_would_hide_an_older_one_is_not_made(tmp_path: Path) -> None:
    """Continue reads config.json only as long as there is no config.yaml (its source): all models would be gone."""
    (tmp_path / "config.json").write_text("{}")
    file, installs = tmp_path / "config.yaml", Installs(tmp_path / "installs")
    with pytest.raises(ConfigurationError, match="would hide it"):
        plan_install(HOSTS["continue"], file, LocalServer("/x"), installs)
    file.write_text("name: Mine\n")
    assert plan_install(HOSTS["continue"], file, LocalServer("/x"), installs).change == "new"


@pytest.mark.parametrize(
    "entry", [{"headers": ["a"]}, {"requestOptions": "a"}, {"requestOptions": {"headers": 1}}, {"headers": None}]
)
def test_headers_that_are_none_name_no_token(entry: dict[str, object]) -> None:
    assert read_entry({"url": "https://x.example/mcp"} | entry) == RemoteServer("https://x.example/mcp")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
def test_a_file_is_the_same_by_whichever_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    installs, host = Installs(tmp_path / "installs"), HOSTS["cursor"]
    carry_out(plan_install(host, tmp_path / "link" / "file", LocalServer("/x"), installs), installs)
    carry_out(plan_install(host, tmp_path / "real" / "file", LocalServer("/y"), installs), installs)
    assert uninstall(host, tmp_path / "link" / "file", installs).exactly
    assert list(installs) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
def test_a_key_file_is_the_same_by_whichever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path)
    for named, is_it in (("~/key", True), (f"{tmp_path}/link/key", True), (f"{tmp_path}/other", False), ("\0~", False)):
        file = tmp_path / "file"
        file.write_text(json.dumps({"mcpServers": {"contit-assistant": {"command": "x", "env": {"K": named}}}}))
        assert names_key_file(HOSTS["cursor"], file, tmp_path / "key") is is_it


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every path is text")
def test_a_path_that_is_no_text_goes_into_no_file(tmp_path: Path) -> None:
    """Neither the host nor our memory could be written."""
    installs, host = Installs(tmp_path / "installs"), HOSTS["cursor"]
    for file, server in (
        (tmp_path / "h\udcff" / "file", LocalServer("/x")),
        (tmp_path / "file", LocalServer("/h\udcff/x")),
    ):
        with pytest.raises(ConfigurationError, match="not UTF-8 text"):
            plan_install(host, file, server, installs)


def test_a_memory_that_cannot_be_read_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "host-entries.json").write_text("broken")
    installs = Installs.load(tmp_path)
    assert list(installs) == []
    installs.remember(Install("cursor", "/file", "digest"))
    assert Installs.load(tmp_path).of("cursor", Path("/file")) == Install("cursor", "/file", "digest")
    installs.forget("cursor", Path("/file"))
    assert not (tmp_path / "host-entries.json").exists()

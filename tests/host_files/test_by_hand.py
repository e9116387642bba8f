"""Entries of our name that install did not write, files that cannot be edited, and what install remembers."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import HostFile, LocalServer, RemoteServer, read_entry
from contit_mcp.hosts.installing import Installs, entry_in, install, names_key_file, plan_install, uninstall
from contit_mcp.hosts.table import HOSTS

SERVER = LocalServer("/x")


@pytest.fixture
def installs(tmp_path: Path) -> Installs:
    """Nothing is installed yet."""
    return Installs(tmp_path / "state")


def holding(text: str, slug: str, folder: Path) -> HostFile:
    """A host's file with this text."""
    place = HostFile(HOSTS[slug], folder / "file")
    place.path.write_bytes(text.encode())
    return place


MARKED = {
    "cursor": [
        '{"mcpServers": {«"contit-assistant": {"command": "x"}»}}',
        '{"a": 1, "mcpServers": {«"contit-assistant": {},»}, /* , */}',
        '{\n  "mcpServers": {\n    // mine\n    "o": {}«,\n    "contit-assistant": {"command": "x"}»\n  }\n}\n',
        '{\n\t"mcpServers": {«\n\t\t"contit-assistant": {},»\n\t\t"other": {}, // mine\n\t},\n}\n',
    ],
    "vscode": [
        '{"servers": {«"contit-assistant": {}, »"o": {}}, "inputs": [«{"id": "contit-assistant-token"}, »{"id": "o"}]}',
        '{"servers": {«"contit-assistant": {}, »"o": "${input:contit-assistant-token}"}, "inputs": [{"id": "contit-assistant-token"}]}',
    ],
    "codex": [
        "a = 1\n\n«[mcp_servers.contit-assistant]\na = 1\n\n[mcp_servers.contit-assistant.env]\nA = 'b'\n\n»[o]\na = 1 # b\n",
        "«[mcp_servers.contit-assistant]\ncommand = 'x' # ours\n\n»# mine\n\n# next\n[other]\na = 1\n",
        '«[ mcp_servers . "contit-assistant" ] # ours\nurl = "x"»',
        "«mcp_servers.contit-assistant.command = 'x'\n»",
        "[mcp_servers]\n«contit-assistant = { command = 'x' }\n»other = { command = 'y' } # mine\n",
    ],
    "goose": [
        "extensions:\n«  contit-assistant:\n    cmd: x\n»  # mine\n  other:\n    cmd: y\nz: 1\n",
        "extensions:\n  other: {}\n«  contit-assistant:\n    cmd: x\n    description: |\n      a\n      b\n»z: 1\n",
        "«extensions:\n  contit-assistant:\n    cmd: x\n\n»# mine\nz: 1\n",
        "«extensions: {contit-assistant: {cmd: x}} # y\n»z: 1\n",
        "«extensions:\n  contit-assistant:\n    cmd: x⇒{}»\n",
        "«extensions: {contit-assistant: &x {cmd: x}}\n»z: «*x⇒{cmd: x}»\n",
    ],
    "continue": [
        "mcpServers:\n- name: other\n\n# ours\n«- name: contit-assistant\n  command: x\n»",
    ],
}


@pytest.mark.parametrize(("slug", "marked"), [(slug, text) for slug, texts in MARKED.items() for text in texts])
def test_an_entry_by_hand_is_taken_out(slug: str, marked: str, tmp_path: Path, installs: Installs) -> None:
    """Only what is marked goes, or is replaced. A copy is kept and named."""
    before = re.sub("«(.*?)(?:⇒.*?)?»", r"\1", marked, flags=re.DOTALL)
    after = re.sub("«.*?(?:⇒(.*?))?»", r"\1", marked, flags=re.DOTALL)
    place = holding(before, slug, tmp_path)
    copies = uninstall(place, installs) or {}
    assert place.path.read_bytes().decode() == after
    assert [copy.read_bytes().decode() for copy in copies] == [before]


def test_what_cannot_be_taken_out_safely_is_left_alone(tmp_path: Path, installs: Installs) -> None:
    text = '{"mcpServers": {"contit-assistant": {}, "contit-assistant": {}, "o": 1}}'
    place = holding(text, "cursor", tmp_path)
    with pytest.raises(ConfigurationError, match="left alone") as refused:
        uninstall(place, installs)
    assert str(place.path) in refused.value.message
    assert place.path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("slug", "text"),
    [
        ("cursor", '{"a": ' + "1" * 5000 + "}"),
        ("cursor", "/*" * 500_000),  # both would freeze a search that begins again at each character
        ("cursor", '"' + '\\"' * 500_000),
        ("codex", "a = " + "[" * 3000 + "]" * 3000),
        ("goose", "a: " + "[" * 3000 + "]" * 3000),
        ("goose", "a: 0b_\n"),
        ("goose", "a: 2024-13-45\n"),
    ],
)
def test_a_text_that_a_reader_cannot_take_is_one_clear_error(
    slug: str, text: str, tmp_path: Path, installs: Installs
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        plan_install(holding(text, slug, tmp_path), SERVER, installs)


def test_a_host_that_rewrites_its_file_has_not_changed_our_entry(tmp_path: Path, installs: Installs) -> None:
    """Claude Code does so each time that it is used; another entry of ours may replace ours then."""
    place = HostFile(HOSTS["claude-code"], tmp_path / "file")
    install(place, LocalServer("/x", ("stdio", "--sandbox")), installs)
    place.path.write_text(json.dumps({"numStartups": 2} | json.loads(place.path.read_text()), indent=2))
    assert install(place, SERVER, installs)[0] == "replaced"
    assert uninstall(place, installs)
    assert json.loads(place.path.read_text()) == {"numStartups": 2, "mcpServers": {}}


@pytest.mark.parametrize("slug", ["cursor", "goose"])
def test_a_file_that_install_made_stays_for_what_the_user_put_into_it(
    slug: str, tmp_path: Path, installs: Installs
) -> None:
    """Comments count too, also after another install; so does a file in the place of one that install made."""
    place, comment = HostFile(HOSTS[slug], tmp_path / "file"), "// mine" if slug == "cursor" else "# mine"
    install(place, SERVER, installs)
    place.path.write_text(comment + "\n" + place.path.read_text())
    uninstall(place, installs)
    assert comment in place.path.read_text()
    place.path.unlink()
    install(place, SERVER, installs)
    place.path.write_text(own := "{}\n")
    install(place, SERVER, installs)
    uninstall(place, installs)
    assert place.path.read_text() == own


def test_a_new_file_that_would_hide_an_older_one_is_not_made(tmp_path: Path, installs: Installs) -> None:
    """Continue reads config.json only as long as there is no config.yaml (its source): all models would be gone."""
    (tmp_path / "config.json").write_text("{}")
    place = HostFile(HOSTS["continue"], tmp_path / "config.yaml")
    with pytest.raises(ConfigurationError, match="would hide it"):
        plan_install(place, SERVER, installs)
    place.path.write_text("name: Mine\n")
    assert plan_install(place, SERVER, installs)[0] == "new"


@pytest.mark.parametrize(
    "entry", [{"headers": ["a"]}, {"requestOptions": "a"}, {"requestOptions": {"headers": 1}}, {"headers": None}]
)
def test_odd_headers_name_no_token(entry: dict[str, object]) -> None:
    assert read_entry({"url": "https://x.example/mcp"} | entry) == RemoteServer("https://x.example/mcp")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
def test_a_file_is_the_same_by_every_link(tmp_path: Path, installs: Installs) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    by_link, itself = (HostFile(HOSTS["cursor"], tmp_path / name / "file") for name in ("link", "real"))
    install(by_link, SERVER, installs)
    install(itself, LocalServer("/y"), installs)
    assert uninstall(by_link, installs) == {}
    assert installs.known == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
def test_a_key_file_is_used_by_an_entry_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by `~` and by a link; a text that is no path names no file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path)
    for named, is_it in (("~/key", True), (f"{tmp_path}/link/key", True), (f"{tmp_path}/other", False), ("\0~", False)):
        entry = {"command": "x", "env": {"K": named}}
        place = holding(json.dumps({"mcpServers": {"contit-assistant": entry}}), "cursor", tmp_path)
        assert names_key_file(place, tmp_path / "key") is is_it


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every path is text")
def test_a_path_that_is_not_text_goes_into_no_file(tmp_path: Path, installs: Installs) -> None:
    for path, server in ((tmp_path / "h\udcff" / "file", SERVER), (tmp_path / "file", LocalServer("/h\udcff/x"))):
        with pytest.raises(ConfigurationError, match="not UTF-8 text"):
            plan_install(HostFile(HOSTS["cursor"], path), server, installs)


def test_an_unreadable_record_of_installs_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "host-entries.json").write_text("broken")
    place, installs = HostFile(HOSTS["cursor"], tmp_path / "file"), Installs(tmp_path)
    install(place, SERVER, installs)
    assert Installs(tmp_path).known == installs.known != []
    assert entry_in(place) == SERVER
    uninstall(place, installs)
    assert not (tmp_path / "host-entries.json").exists()

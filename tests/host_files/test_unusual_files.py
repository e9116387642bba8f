"""Files in unusual states: entries that somebody wrote or changed, links, odd paths, and a disk that refuses."""

import json
import os
import re
import stat
import sys
from pathlib import Path

import pytest

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import back_up, read_text, write_text
from contit_mcp.hosts.host import HostFile, LocalServer, RemoteServer, read_entry
from contit_mcp.hosts.installing import Installs, entry_in, install, names_key_file, plan_install, uninstall
from contit_mcp.hosts.table import HOSTS

SERVER = LocalServer("/x")


@pytest.fixture
def installs(tmp_path: Path) -> Installs:
    return Installs(tmp_path / "state")


def host_file(text: str, slug: str, folder: Path) -> HostFile:
    place = HostFile(HOSTS[slug], folder / "file")
    place.path.write_bytes(text.encode())
    return place


# What uninstall removes is between « and »; a text after ⇒ replaces it.
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
def test_nothing_but_a_handwritten_entry_is_removed(slug: str, marked: str, tmp_path: Path, installs: Installs) -> None:
    """A copy of the file is kept and named."""
    before = re.sub("«(.*?)(?:⇒.*?)?»", r"\1", marked, flags=re.DOTALL)
    after = re.sub("«.*?(?:⇒(.*?))?»", r"\1", marked, flags=re.DOTALL)
    place = host_file(before, slug, tmp_path)
    copies = uninstall(place, installs) or {}
    assert place.path.read_bytes().decode() == after
    assert [copy.read_bytes().decode() for copy in copies] == [before]


def test_an_entry_that_cannot_be_removed_safely_is_left_alone(tmp_path: Path, installs: Installs) -> None:
    text = '{"mcpServers": {"contit-assistant": {}, "contit-assistant": {}, "o": 1}}'
    place = host_file(text, "cursor", tmp_path)
    with pytest.raises(ConfigurationError, match="left alone") as refused:
        uninstall(place, installs)
    assert str(place.path) in refused.value.message
    assert place.path.read_text(encoding="utf-8") == text


def test_an_entry_is_still_ours_after_the_host_has_rewritten_its_file(tmp_path: Path, installs: Installs) -> None:
    """Claude Code rewrites its file each time that it is used. A new entry replaces ours without --force."""
    place = HostFile(HOSTS["claude-code"], tmp_path / "file")
    install(place, LocalServer("/x", ("stdio", "--sandbox")), installs)
    place.path.write_text(json.dumps({"numStartups": 2} | json.loads(place.path.read_text()), indent=2))
    assert install(place, SERVER, installs)[0] == "replaced"
    assert uninstall(place, installs)
    assert json.loads(place.path.read_text()) == {"numStartups": 2, "mcpServers": {}}


@pytest.mark.parametrize("slug", ["cursor", "goose"])
def test_a_file_that_install_made_stays_if_the_user_added_to_it(slug: str, tmp_path: Path, installs: Installs) -> None:
    """A comment counts. So does a file that the user made after deleting the one that install made."""
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
    """Continue reads config.json only as long as there is no config.yaml (its source). All models would be gone."""
    (tmp_path / "config.json").write_text("{}")
    place = HostFile(HOSTS["continue"], tmp_path / "config.yaml")
    with pytest.raises(ConfigurationError, match="would hide it"):
        plan_install(place, SERVER, installs)
    place.path.write_text("name: Mine\n")
    assert plan_install(place, SERVER, installs)[0] == "new"


def test_odd_headers_name_no_token() -> None:
    odd = ({"headers": ["a"]}, {"requestOptions": "a"}, {"requestOptions": {"headers": 1}}, {"headers": None})
    for headers in odd:
        assert read_entry({"url": "https://x.example/mcp"} | headers) == RemoteServer("https://x.example/mcp")


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
    """The name may contain `~` or a link. A text that is no path names no file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path)
    for named, is_it in (("~/key", True), (f"{tmp_path}/link/key", True), (f"{tmp_path}/other", False), ("\0~", False)):
        entry = {"command": "x", "env": {"K": named}}
        place = host_file(json.dumps({"mcpServers": {"contit-assistant": entry}}), "cursor", tmp_path)
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


# --- The disk


def test_a_file_that_cannot_be_read_written_or_copied_is_an_error_and_nothing_changes(tmp_path: Path) -> None:
    below, folder, long = (tmp_path / name for name in ("file/below", "folder", "f" * 250))
    folder.mkdir()
    below.parent.write_text("text")
    long.touch()  # no name may be longer than 255 bytes, so it has no backup
    before = sorted(tmp_path.rglob("*"))
    for path in (below, folder):
        with pytest.raises(ConfigurationError, match=f"{path} cannot be read"):
            read_text(path)
        with pytest.raises(ConfigurationError, match=f"{path} cannot be written"):
            write_text(path, "text")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        back_up(long, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_overwrites_nothing_and_is_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    (tmp_path / "file.contit-mcp.2.bak").mkdir()
    made = []
    for content in ("first", "second"):
        file.write_text(content)
        file.chmod(0o644)
        made.append(back_up(file, tmp_path))
    assert [copy.name for copy in made] == ["file.contit-mcp.bak", "file.contit-mcp.3.bak"]
    assert [copy.read_text() for copy in made] == ["first", "second"]
    assert os.name == "nt" or {stat.S_IMODE(copy.stat().st_mode) for copy in made} == {0o600}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_its_user_has_locked_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        write_text(tmp_path / "file", "other")
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    os.chown(tmp_path / "file", 12345, 12346)
    write_text(tmp_path / "file", "other")
    assert ((tmp_path / "file").stat().st_uid, (tmp_path / "file").stat().st_gid) == (12345, 12346)

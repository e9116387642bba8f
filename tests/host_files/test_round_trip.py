"""Whatever is in a host's file: our entry goes in, and comes out without a trace."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.formats import Addition, UneditableError, edited, read
from contit_mcp.hosts.host import Host, HostFile, LocalServer, RemoteServer, Server
from contit_mcp.hosts.installing import Installs, entry_in, install, uninstall
from contit_mcp.hosts.table import HOSTS
from tests.host_files.documents import documents

LOCAL: Server = LocalServer("/home/you/bin/contit-mcp", ("stdio",), {"CONTIT_API_KEY_FILE": 'C:\\you "x"\\key é'})
REMOTE: Server = RemoteServer("https://contit.example/mcp", "CONTIT_ASSISTANT_TOKEN")
JUDGED = [HOSTS[slug] for slug in ("claude-code", "vscode", "codex", "continue", "goose")]
"""One of each format and shape: a member, a member and an element, a table, an element, a member in lines."""


@pytest.mark.parametrize("host", JUDGED, ids=lambda host: host.slug)
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_install_and_uninstall_leave_a_file_byte_for_byte_as_it_was(host: Host, data: st.DataObject) -> None:
    """In between it says the same, and our entry; installing again changes nothing."""
    text = data.draw(documents(host))
    server: Server = data.draw(st.sampled_from([LOCAL, REMOTE]))
    with tempfile.TemporaryDirectory() as folder:
        file, installs = Path(folder) / "file", Installs(Path(folder) / "state")
        place = HostFile(host, file)
        file.write_bytes(text.encode())
        install(place, server, installs)
        first = file.read_bytes()
        for addition in host.additions(server):
            assert addition.find(read(first.decode(), host.format)) == addition.value
        assert _others(host, first.decode()) == _others(host, text)
        if server is LOCAL or host.slug != "vscode":  # there the token is asked for
            assert entry_in(place) == server
        assert install(place, server, installs) == ("same", None)
        assert file.read_bytes() == first
        assert uninstall(place, installs) == {}
        assert file.read_bytes() == text.encode()
        assert [path.name for path in Path(folder).rglob("*") if path.is_file()] == ["file"]


@pytest.mark.parametrize("host", JUDGED, ids=lambda host: host.slug)
@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_without_memory_of_the_install_only_the_entry_goes(host: Host, data: st.DataObject) -> None:
    """The state folder may be lost. Then no setting is lost, and no comment without a backup that is named."""
    text = data.draw(documents(host))
    with tempfile.TemporaryDirectory() as folder:
        file, installs = Path(folder) / "file", Installs(Path(folder) / "state")
        place = HostFile(host, file)
        file.write_bytes(text.encode())
        install(place, LOCAL, installs)
        written = file.read_bytes()
        try:
            copies = uninstall(place, Installs(Path(folder) / "none"))
        except ConfigurationError:
            assert file.read_bytes() == written
            return
        assert entry_in(place) is None
        after = file.read_bytes().decode()
        assert _others(host, after) == _others(host, text)
        assert [copy.read_bytes() for copy in copies or {}] == [written]


@pytest.mark.parametrize("host", JUDGED, ids=lambda host: host.slug)
@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_setting_that_came_in_after_the_install_is_never_lost(host: Host, data: st.DataObject) -> None:
    """The copy from before the install is not put back over it; it stays, and is named."""
    text = data.draw(documents(host))
    with tempfile.TemporaryDirectory() as folder:
        file, installs = Path(folder) / "file", Installs(Path(folder) / "state")
        place = HostFile(host, file)
        file.write_bytes(text.encode())
        install(place, LOCAL, installs)
        other = Addition(host.section, "newcomer", {"command": "npx"} | _named(host, "newcomer"), host.named_by)
        try:
            changed = edited(file.read_bytes().decode(), host.format, out=(), into=[other])
        except UneditableError:
            return
        file.write_bytes(changed.encode())
        copies = uninstall(place, installs)
        after = read(file.read_bytes().decode(), host.format)
        assert other.find(after) == other.value
        assert entry_in(place) is None
        assert text.encode() in [copy.read_bytes() for copy in copies or {}]


def _named(host: Host, name: str) -> dict[str, str]:
    return {host.named_by: name} if host.named_by else {}


def _others(host: Host, text: str) -> str:
    document = read(text, host.format)
    for addition in host.additions():
        document = addition.without(document)
    return json.dumps(document, default=repr)

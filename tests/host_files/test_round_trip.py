"""Whatever is in a host's file: our entry goes in, and comes out without a trace."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.document import Addition, UnsuitableTextError, with_additions
from contit_mcp.hosts.formats import FORMATS
from contit_mcp.hosts.host import Host, LocalServer, RemoteServer, Server
from contit_mcp.hosts.installing import Installs, carry_out, entry_in, plan_install, uninstall
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
    read = FORMATS[host.format].read
    with tempfile.TemporaryDirectory() as folder:
        file, installs = Path(folder) / "file", Installs(Path(folder) / "state")
        file.write_bytes(text.encode())
        carry_out(plan_install(host, file, server, installs), installs)
        first = file.read_bytes()
        for addition in host.additions(server):
            assert addition.find(read(first.decode())) == addition.value
        assert _others(host, first.decode()) == _others(host, text)
        if server is LOCAL or host.slug != "vscode":  # there the token is asked for
            assert entry_in(host, file) == server
        assert plan_install(host, file, server, installs).change == "same"
        carry_out(plan_install(host, file, server, installs), installs)
        assert file.read_bytes() == first
        removal = uninstall(host, file, installs)
        assert removal.found
        assert removal.exactly
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
        file.write_bytes(text.encode())
        carry_out(plan_install(host, file, LOCAL, installs), installs)
        written = file.read_bytes()
        try:
            removal = uninstall(host, file, Installs(Path(folder) / "none"))
        except ConfigurationError:
            assert file.read_bytes() == written
            return
        assert entry_in(host, file) is None
        after = file.read_bytes().decode()
        assert _others(host, after) == _others(host, text)
        if written.decode().count("#") != after.count("#"):
            assert [backup.read_bytes() for backup in removal.backups] == [written]


@pytest.mark.parametrize("host", JUDGED, ids=lambda host: host.slug)
@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_setting_that_came_in_after_the_install_is_never_lost(host: Host, data: st.DataObject) -> None:
    """The copy from before the install is not put back over it; it stays, and is named."""
    text = data.draw(documents(host))
    with tempfile.TemporaryDirectory() as folder:
        file, installs = Path(folder) / "file", Installs(Path(folder) / "state")
        file.write_bytes(text.encode())
        carry_out(plan_install(host, file, LOCAL, installs), installs)
        other = Addition(host.section, "newcomer", {"command": "npx"} | _named(host, "newcomer"), host.named_by)
        try:
            changed = with_additions(file.read_bytes().decode(), [other], FORMATS[host.format])
        except UnsuitableTextError:
            return
        file.write_bytes(changed.encode())
        removal = uninstall(host, file, installs)
        after = FORMATS[host.format].read(file.read_bytes().decode())
        assert other.find(after) == other.value
        assert entry_in(host, file) is None
        assert text.encode() in [backup.read_bytes() for backup in removal.backups]


def _named(host: Host, name: str) -> dict[str, str]:
    return {host.named_by: name} if host.named_by else {}


def _others(host: Host, text: str) -> str:
    document = FORMATS[host.format].read(text)
    for addition in host.possible_additions():
        document = addition.without(document)
    return json.dumps(document, default=repr)

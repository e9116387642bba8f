"""Whatever is in a host's file: our entry goes in, and comes out without a trace."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import Host
from contit_mcp.hosts.installing import carry_out, entry_in, plan_install, uninstall
from contit_mcp.hosts.installs import Installs
from contit_mcp.hosts.servers import LocalServer, RemoteServer, Server
from contit_mcp.hosts.splicing import FORMATS
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
    """Between the two it says what it said, and our entry; installing again changes nothing (our promise)."""
    text = data.draw(documents(host))
    server: Server = data.draw(st.sampled_from([LOCAL, REMOTE]))
    read = FORMATS[host.format].read
    with tempfile.TemporaryDirectory() as folder:
        file, installs = Path(folder) / "file", Installs(Path(folder) / "installs")
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
        assert [path.name for path in Path(folder).iterdir()] == ["file"]


@pytest.mark.parametrize("host", JUDGED, ids=lambda host: host.slug)
@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_without_memory_of_what_was_written_only_the_entry_goes(host: Host, data: st.DataObject) -> None:
    """The state folder may be lost: then white space may differ, and nothing else does (our choice)."""
    text = data.draw(documents(host))
    with tempfile.TemporaryDirectory() as folder:
        file, installs = Path(folder) / "file", Installs(Path(folder) / "installs")
        file.write_bytes(text.encode())
        carry_out(plan_install(host, file, LOCAL, installs), installs)
        written = file.read_bytes()
        try:
            uninstall(host, file, Installs(Path(folder) / "none"))
        except ConfigurationError:
            assert file.read_bytes() == written
            return
        assert entry_in(host, file) is None
        assert _others(host, file.read_bytes().decode()) == _others(host, text)


def _others(host: Host, text: str) -> str:
    document = FORMATS[host.format].read(text)
    for addition in host.possible_additions():
        document = addition.without(document)
    return json.dumps(document, default=repr)

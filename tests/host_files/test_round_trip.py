"""Whatever is in a host's file: our entry goes in, and comes out without a trace or with a copy that is named."""

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
        place, installs = installed(host, text, server, Path(folder))
        first = said_by(place)
        for addition in host.additions(server):
            assert addition.find(read(first, host.format)) == addition.value
        assert others(host, first) == others(host, text)
        if server is LOCAL or host.slug != "vscode":  # there the token is asked for
            assert entry_in(place) == server
        assert install(place, server, installs) == ("same", None)
        assert said_by(place) == first
        assert uninstall(place, installs) == {}
        assert said_by(place) == text
        assert [path.name for path in Path(folder).rglob("*") if path.is_file()] == ["file"]


@pytest.mark.parametrize("host", JUDGED, ids=lambda host: host.slug)
@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), is_known=st.booleans())
def test_no_setting_is_lost_and_each_copy_is_named(host: Host, data: st.DataObject, *, is_known: bool) -> None:
    """A setting may have come in after the install, and the state folder may be lost."""
    text = data.draw(documents(host))
    name = {host.named_by: "newcomer"} if host.named_by else {}
    newcomer = Addition(host.section, "newcomer", {"command": "npx"} | name, host.named_by)
    with tempfile.TemporaryDirectory() as folder:
        place, installs = installed(host, text, LOCAL, Path(folder))
        try:
            written = edited(said_by(place), host.format, removed=(), added=[newcomer])
            place.path.write_bytes(written.encode())
            copies = uninstall(place, installs if is_known else Installs(Path(folder) / "none")) or {}
        except (ConfigurationError, UneditableError):
            assert entry_in(place) == LOCAL
            return
        assert entry_in(place) is None
        document = read(said_by(place), host.format)
        assert newcomer.find(document) == newcomer.value
        assert others(host, said_by(place), newcomer) == others(host, text)
        assert [copy.read_bytes().decode() for copy in copies] == ([text, written] if is_known else [written])


def installed(host: Host, text: str, server: Server, folder: Path) -> tuple[HostFile, Installs]:
    place, installs = HostFile(host, folder / "file"), Installs(folder / "state")
    place.path.write_bytes(text.encode())
    install(place, server, installs)
    return place, installs


def said_by(place: HostFile) -> str:
    return place.path.read_bytes().decode()


def others(host: Host, text: str, *more: Addition) -> str:
    document = read(text, host.format)
    for addition in (*more, *host.additions()):
        document = addition.without(document)
    return json.dumps(document, default=repr)

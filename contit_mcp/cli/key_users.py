"""Which entries take their credential from a file."""

from pathlib import Path

from contit_mcp.hosts.host import Host
from contit_mcp.hosts.installing import names_key_file
from contit_mcp.hosts.installs import Installs
from contit_mcp.hosts.machine import Machine
from contit_mcp.hosts.table import HOSTS


def takers_of(key_file: Path, installs: Installs) -> list[tuple[Host, Path]]:
    """The hosts, each with its file, whose entry takes it from there; a file that cannot be read is taken to."""
    machine = Machine.this()
    places = [(host, host.file(machine, scope)) for host in HOSTS.values() for scope in host.files]
    places += [(HOSTS[slug], file) for slug, file in installs.files() if slug in HOSTS]
    found = {(host.slug, file): (host, file) for host, file in places if names_key_file(host, file, key_file)}
    return list(found.values())

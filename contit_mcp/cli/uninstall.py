"""contit-mcp uninstall: our entry out of a host's file."""

from pathlib import Path

import click

from contit_mcp.cli.host_choice import HostName, file_of, our_folder, scope_option
from contit_mcp.cli.key_file import our_key_files
from contit_mcp.hosts.host import Host
from contit_mcp.hosts.installing import names_key_file, uninstall
from contit_mcp.hosts.installs import Installs
from contit_mcp.hosts.machine import Machine
from contit_mcp.hosts.servers import NAME
from contit_mcp.hosts.table import HOSTS


@click.command()
@click.argument("host", type=HostName())
@scope_option
def command(host: Host, *, scope: str | None) -> None:
    """Take the entry for contit-mcp out of the configuration of a host.

    The file is then as it was before, byte for byte; one that `install` made is gone, and so is the key
    file once no other entry names it.

    \b
    Examples:
      contit-mcp uninstall claude-desktop
    """
    file = file_of(host, scope)
    folder = our_folder()
    installs = Installs.load(folder)
    removal = uninstall(host, file, installs)
    if removal is None:
        click.echo(f"There is no {NAME} in {file} ({host.title}).")
        return
    how = "is as it was before" if removal.exactly else "is otherwise unchanged"
    if not file.exists():
        how = "was made by install, and is gone too"
    click.echo(f"{NAME} is out of {host.title}; {file} {how}.")
    if removal.backup:
        click.echo(f"A backup from before, which says something else by now, is still there: {removal.backup}")
    if removal.key_file in our_key_files(folder) and removal.key_file.exists():
        if _is_still_named(removal.key_file, installs):
            click.echo(f"The key stays in {removal.key_file}: another entry takes it from there.")
        else:
            removal.key_file.unlink()
            click.echo(f"The key was removed too: {removal.key_file}")


def _is_still_named(key_file: Path, installs: Installs) -> bool:
    machine = Machine.this()
    places = [(host, host.file(machine, scope)) for host in HOSTS.values() for scope in host.files]
    places += [(HOSTS[slug], file) for slug, file in installs.files() if slug in HOSTS]
    return any(names_key_file(host, file, key_file) for host, file in places)

"""contit-mcp uninstall: our entry out of a host's file."""

from pathlib import Path

import click

from contit_mcp.cli.host_choice import HostName, file_of, our_folder, scope_option
from contit_mcp.cli.key_file import our_key_files
from contit_mcp.cli.key_users import takers_of
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import Host
from contit_mcp.hosts.installing import Removal, uninstall
from contit_mcp.hosts.installs import Installs
from contit_mcp.hosts.servers import NAME


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
    click.echo(_outcome(host, file, removal))
    if removal.backup:
        click.echo(f"A backup from before, which says something else by now, is still there: {removal.backup}")
    for key_file in removal.key_files:
        if key_file in our_key_files(folder) and key_file.exists():
            _put_away(key_file, installs)


def _outcome(host: Host, file: Path, removal: Removal) -> str:
    if not removal.found:
        return f"There is no {NAME} in {file} ({host.title})."
    how = "is as it was before" if removal.exactly else "is otherwise unchanged"
    if not file.exists():
        how = "was made by install, and is gone too"
    return f"{NAME} is out of {host.title}; {file} {how}."


def _put_away(key_file: Path, installs: Installs) -> None:
    """Remove a key file of ours that no entry needs any more.

    Raises:
        ConfigurationError: It cannot be removed.
    """
    if takers_of(key_file, installs):
        click.echo(f"The key stays in {key_file}: another entry takes it from there.")
        return
    try:
        key_file.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The key in {key_file} cannot be removed: {error.strerror or 'unknown reason'}.", hint="Remove it by hand."
        ) from error
    click.echo(f"The key was removed too: {key_file}")

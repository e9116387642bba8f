"""contit-mcp install: our entry into a host's file."""

import contextlib
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from contit_mcp.cli.host_choice import HostName, file_of, our_folder, scope_option
from contit_mcp.cli.key_file import KeyFile, choose_key_file
from contit_mcp.cli.key_users import takers_of
from contit_mcp.cli.shell import shell_line
from contit_mcp.config.settings_names import is_unset
from contit_mcp.config.settings_urls import LOOPBACK, usable_url
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import Host
from contit_mcp.hosts.installing import carry_out, entry_in, new_file, plan_install
from contit_mcp.hosts.installs import Installs
from contit_mcp.hosts.machine import Machine
from contit_mcp.hosts.own_command import own_command
from contit_mcp.hosts.servers import NAME, TOKEN_VARIABLE, LocalServer, RemoteServer, Server
from contit_mcp.hosts.strict_json import strictly_wrong
from contit_mcp.hosts.table import HOSTS


@click.command()
@click.argument("host", type=HostName(), required=False)
@scope_option
@click.option("--sandbox", is_flag=True, help="An entry that answers from the embedded sandbox; no account needed.")
@click.option("--http", "url", metavar="URL", help="An entry for a contit-mcp server on the network, at /mcp.")
@click.option("--token/--no-token", default=None, help="With --http: whether the server wants a bearer token.")
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="A file that holds the API key.")
@click.option("--print", "only_print", is_flag=True, help="Print the entry and change nothing.")
@click.option("--force", is_flag=True, help="Replace an entry that was written or changed by hand.")
def command(
    host: Host | None,
    *,
    scope: str | None,
    sandbox: bool,
    url: str | None,
    token: bool | None,
    key_file: Path | None,
    only_print: bool,
    force: bool,
) -> None:
    """Write an entry for contit-mcp into the configuration of a host.

    Without HOST it lists the hosts, and which of them are found here. The rest of the file stays as it is,
    byte for byte, and a copy of it is kept. The key is taken from CONTIT_API_KEY or CONTIT_ACCESS_TOKEN, or asked
    for; it goes into a file that only you can read, which the entry names. contit-mcp uninstall takes all out.

    \b
    Examples:
      contit-mcp install
      contit-mcp install claude-desktop --sandbox
      contit-mcp install claude-code
      contit-mcp install cursor --http https://contit.example/mcp --print
    """
    if host is None:
        _list_hosts()
        return
    if sandbox and url:
        raise click.UsageError("--sandbox and --http are two different entries; name one.")
    if key_file and (sandbox or url):
        raise click.UsageError("--key-file is for an entry with an API key: neither --sandbox nor --http has one.")
    if token is not None and not url:
        raise click.UsageError("--token and --no-token are for --http; --key-file names the key of a local entry.")
    file = file_of(host, scope)
    folder = our_folder()
    local = not (sandbox or url)
    key = choose_key_file(key_file, folder, ask=False) if local else None
    server = _remote(host, url, token) if url else _local(key)
    if only_print:
        click.echo(f"For {file}:", err=True)
        click.echo(new_file(host, server), nl=False)
        return
    installs = Installs.load(folder)
    plan = plan_install(host, file, server, installs, force=force)  # before anything is asked for
    if local:
        key = choose_key_file(key_file, folder)
        plan = plan_install(host, file, _local(key), installs, force=force)
    others = takers_of(key.path, installs) if key and key.replaces() else []
    backup = carry_out(plan, installs, key_file=key.path if key else None)
    done = key.fill() if key else []  # last, so that no key lies about where no entry could be written
    done += [f"It takes the place of another key, also for {it.title} ({at})." for it, at in others if at != file]
    words = {"new": "is now in", "same": "stands already in", "replaced": "has been replaced in"}
    click.echo(f"{NAME} {words[plan.change]} {file} ({host.title}).")
    if backup:
        click.echo(f"The file as it was before: {backup}")
    if problem := strictly_wrong(host, file):
        done.append(f"Take care: {problem}. It was there before.")
    for line in (*done, *_what_now(host, scope, server)):
        click.echo(line)


def _local(key: KeyFile | None) -> LocalServer:
    words, before = own_command(sys.argv[0], sys.executable)
    if key is None:
        return LocalServer(words, (*before, "stdio", "--sandbox"))
    return LocalServer(words, (*before, "stdio"), {key.variable: str(key.path), **_taken_along()})


def _taken_along() -> dict[str, str]:
    """What leads to Contit, and what a host would not know.

    Raises:
        ConfigurationError: It could not be used, or would write a password into a host's file.
    """
    taken = {name: str(os.environ.get(name)) for name in ("CONTIT_BASE_URL", "CONTIT_CA_FILE")}
    taken = {name: value.strip() for name, value in taken.items() if not is_unset(os.environ.get(name))}
    if ca_file := taken.get("CONTIT_CA_FILE"):
        taken["CONTIT_CA_FILE"] = os.path.abspath(Path(ca_file).expanduser())  # noqa: PTH100 - links as they are
    try:
        return taken | ({"CONTIT_BASE_URL": usable_url(url)} if (url := taken.get("CONTIT_BASE_URL")) else {})
    except ValueError as error:
        raise ConfigurationError(
            f"CONTIT_BASE_URL {error}.", hint="It would go into the entry: mend it, or unset it."
        ) from None


def _remote(host: Host, url: str, token: bool | None) -> RemoteServer:  # noqa: FBT001 - a tri-state
    if host.remote is None:
        raise ConfigurationError(
            f"{host.title} reads no remote servers from its file.",
            hint="Leave --http out, or add it in the app: Settings, Connectors, Add custom connector.",
        )
    try:
        url = usable_url(url)
    except ValueError as error:
        raise ConfigurationError(f"--http {error}.", hint="It is where the server's /mcp is.") from error
    parts = urlsplit(url)
    if not parts.path:
        url = f"{url}/mcp"
    wanted = parts.hostname not in LOOPBACK if token is None else token
    return RemoteServer(url, TOKEN_VARIABLE if wanted else None)


def _what_now(host: Host, scope: str | None, server: Server) -> list[str]:
    lines = []
    if isinstance(server, RemoteServer) and server.token_variable:
        lines.append(
            host.remote_note
            or f"Set {server.token_variable} to your bearer token in the environment that {host.title} is started from."
        )
    scoped = f" --scope {scope}" if scope else ""
    return [*lines, host.to_see_it, f"Check it with: {_as_called()} check --host {host.slug}{scoped}"]


def _as_called() -> str:
    """This command as a shell finds it: the README's newcomer has it on no PATH yet."""
    with contextlib.suppress(ConfigurationError):
        if shutil.which("contit-mcp") is None:
            words, before = own_command(sys.argv[0], sys.executable)
            return shell_line(words, *before)
    return "contit-mcp"


def _list_hosts() -> None:
    machine = Machine.this()
    width = max(map(len, HOSTS))
    for host in HOSTS.values():
        file = host.file(machine, next(iter(host.files)))
        try:
            server = entry_in(host, file)
            state = "found" if host.is_found(machine) else ""
            if server is not None:
                state = "installed"
        except ConfigurationError:
            state = "broken file"
        click.echo(f"{host.slug:{width}}  {state:11}  {file}")

"""contit-mcp install and uninstall: our entry into a host's file and out of it, and the key that the entry names."""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import click

from contit_mcp.cli.options import WrongUsage
from contit_mcp.cli.terminal import our_command
from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import is_unset, load_settings
from contit_mcp.config.values import LOOPBACK, expanded, state_folder, usable_url
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts import installing
from contit_mcp.hosts.files import own_command, read_text, write_text
from contit_mcp.hosts.host import NAME, TOKEN_VARIABLE, HostFile, LocalServer, Machine, RemoteServer, Server
from contit_mcp.hosts.installing import KEY_FILES, WAY_TO_CONTIT, Installs, entry_in, names_key_file, plan_install
from contit_mcp.hosts.table import HOSTS

host_type = click.Choice(list(HOSTS), case_sensitive=False)
scope_option = click.option(
    "--scope", type=click.Choice(["user", "project"]), help="The file of this user, or of the project in this folder."
)

_TOKEN_PREFIX = "ctpat_"  # noqa: S105 - how every personal access token of Contit begins
_API_KEY = "CONTIT_API_KEY"
_COPY_AGAIN = "Copy it again from Contit, without anything around it."


def file_of(slug: str, scope: str | None) -> HostFile:
    """Return the file that the host reads on this machine, for its user or for this project."""
    host, machine = HOSTS[slug], Machine.this()
    if scope and scope not in host.files:
        hint = f"Leave --scope out, or name {next(iter(host.files))}."
        raise ConfigurationError(f"{host.title} keeps no file for a {scope}.", hint=hint)
    place = host.place(machine, scope)
    target = Path(os.path.realpath(place.path))
    if place.in_project and not target.is_relative_to(os.path.realpath(machine.project)):
        raise ConfigurationError(  # a repository could point anywhere
            f"{place.path} leads out of the project, to {target}; it was left alone.",
            hint="Replace the link by a file or folder of its own, or leave --scope project out.",
        )
    return place


def our_folder() -> Path:
    """Return the folder with the key and the record of the entries that we wrote."""
    return state_folder(_settings_of("CONTIT_MCP_STATE_DIR").state_dir).absolute()


def _settings_of(*variables: str) -> Settings:
    """Return the settings of these variables alone: a host sees no others of this shell."""
    return load_settings(environment={name: os.environ[name] for name in variables if name in os.environ})


@click.command()
@click.argument("host", type=host_type, required=False, metavar="[HOST]")
@scope_option
@click.option("--sandbox", is_flag=True, help="An entry that answers from the embedded sandbox; no account needed.")
@click.option("--http", "url", metavar="URL", help="An entry for a contit-mcp server on the network, at /mcp.")
@click.option("--token/--no-token", default=None, help="With --http: whether the server wants a bearer token.")
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="A file with your API key.")
@click.option("--new-key", is_flag=True, help="Replace the stored key.")
@click.option("--print", "only_print", is_flag=True, help="Print the entry and change nothing.")
@click.option("--force", is_flag=True, help="Replace an entry that was written or changed by hand.")
def install(
    host: str | None,
    *,
    scope: str | None,
    sandbox: bool,
    url: str | None,
    token: bool | None,
    key_file: Path | None,
    new_key: bool,
    only_print: bool,
    force: bool,
) -> None:
    """Write an entry for contit-mcp into the configuration of a host.

    Without HOST it lists the hosts, and which of them are on this machine. It takes the key from CONTIT_API_KEY or
    CONTIT_ACCESS_TOKEN, or asks for it, tests it against Contit, and stores it in a file that only you can read. The
    entry names that file. The host's file is copied before it is changed; contit-mcp uninstall removes the entry.

    \b
    Examples:
      contit-mcp install
      contit-mcp install claude-desktop --sandbox
      contit-mcp install claude-code
      contit-mcp install cursor --http https://contit.example/mcp --print
    """
    _refuse_combinations(host, url, token, sandbox, key_file, new_key)
    if host is None:
        _list_hosts()
        return
    place, folder = file_of(host, scope), our_folder()
    needs_key = not (sandbox or url)
    available = _available_key(key_file, folder, new=new_key) if needs_key else None
    key = available or (_stored_key(folder, _API_KEY) if needs_key else None)
    server = _remote(place, url, token) if url else _local(key)
    if only_print:
        click.echo(f"For {place.path}:", err=True)
        click.echo(installing.new_file(place.host, server), nl=False)
        return
    installs, done, others = Installs(folder), list[str](), dict[Path, str]()
    plan_install(place, server, installs, force=force)  # before anything is asked for
    if needs_key:
        key, done = _accepted_key(available, folder)
        server = _local(key)
        if key.replaces() and not new_key:
            raise ConfigurationError(
                f"Another key is stored in {key.path}, which other hosts may use.",
                hint="Add --new-key to replace it, or unset CONTIT_API_KEY and CONTIT_ACCESS_TOKEN.",
            )
        others = _files_naming(key.path, installs) if key.replaces() else {}
    is_found = place.in_project or place.host.is_found(Machine.this())  # before its file is made
    change, backup = installing.install(place, server, installs, force=force)
    done += key.fill() if key else []  # last, so that no key is kept if no entry could be written
    done += [f"It replaces another key, also for {it} ({at})." for at, it in others.items() if at != place.path]
    words = {"new": "is now in", "same": "is already in", "replaced": "has been replaced in"}
    click.echo(f"{NAME} {words[change]} {place.path} ({place.host.title}).")
    if backup:
        click.echo(f"The file as it was before: {backup}")
    for line in (*done, *_what_now(place, scope, server, is_found=is_found)):
        click.echo(line)


@click.command()
@click.argument("host", type=host_type, metavar="HOST")
@scope_option
def uninstall(host: str, *, scope: str | None) -> None:
    """Remove the entry for contit-mcp from the configuration of a host.

    If the host's file has not changed since install, it is restored byte for byte from the copy that install made.
    Otherwise, or if install replaced an entry, only the entry is removed, and the paths of the copies are printed. A
    file that install created is deleted if it has not changed. The stored key is deleted if no other entry uses it.

    \b
    Examples:
      contit-mcp uninstall claude-desktop
    """
    place, folder = file_of(host, scope), our_folder()
    installs = Installs(folder)
    backups = installing.uninstall(place, installs)
    if backups is None:
        click.echo(f"There is no {NAME} in {place.path} ({place.host.title}).")
    else:
        how = "keeps all its other settings" if backups else "is as it was before"
        if not place.path.exists():
            how = "was made by install, and is gone too"
        click.echo(f"{NAME} was removed from {place.host.title}; {place.path} {how}.")
    for backup, command in (backups or {}).items():
        click.echo(f"The file as it was before {command}: {backup}")
    for key_file in (_stored_key(folder, setting).path for setting in KEY_FILES):
        if key_file.exists() and _files_naming(key_file, installs):
            click.echo(f"The key stays in {key_file}: another entry uses it.")
        elif key_file.exists():
            key_file.unlink()
            click.echo(f"The key was removed too: {key_file}")


def _list_hosts() -> None:
    machine = Machine.this()
    click.echo("found: used on this machine; installed: has our entry", err=True)
    for host in HOSTS.values():
        place = host.place(machine)
        try:
            state = "installed" if entry_in(place) else "found" if host.is_found(machine) else ""
        except ConfigurationError:
            state = "broken file"
        click.echo(f"{host.slug:14}  {state:11}  {place.path}")


def _what_now(place: HostFile, scope: str | None, server: Server, *, is_found: bool) -> Iterator[str]:
    host = place.host
    if problem := host.misread(read_text(place.path) or ""):
        yield f"Attention: {problem}. Remove it."
    if not is_found:
        yield f"Note: {host.title} was not found on this machine."
    if isinstance(server, RemoteServer) and server.token_variable:
        started_from = f"in the environment that {host.title} is started from"
        yield host.remote_note or f"Set {server.token_variable} to your bearer token {started_from}."
    if place.in_project:
        yield "Some hosts read a project's file only after you trust the project."
    yield host.to_see_it
    yield f"Check it with: {our_command()} check --host {host.slug}{f' --scope {scope}' if scope else ''}"


def _local(key: "_KeyFile | None") -> LocalServer:
    command, *before = own_command(sys.argv[0], sys.executable)
    if key is None:
        return LocalServer(command, (*before, "stdio", "--sandbox"))
    return LocalServer(command, (*before, "stdio"), {f"{key.setting}_FILE": str(key.path), **_way_to_contit()})


def _way_to_contit() -> dict[str, str]:
    """Return the variables that lead to Contit and that a host would not know."""
    settings = _settings_of(*WAY_TO_CONTIT)
    found = {"CONTIT_BASE_URL": settings.base_url} if "base_url" in settings.model_fields_set else {}
    return found | ({"CONTIT_CA_FILE": str(settings.ca_file.absolute())} if settings.ca_file else {})


def _remote(place: HostFile, url: str, token: bool | None) -> RemoteServer:  # noqa: FBT001 - a tri-state
    if place.host.remote is None:
        hint = "Leave --http out, or add it in the app: Settings, Connectors, Add custom connector."
        raise ConfigurationError(f"{place.host.title} reads no remote servers from its file.", hint=hint)
    try:
        url = usable_url(url)
    except ValueError as error:
        raise ConfigurationError(f"--http {error}.", hint="It is like https://contit-mcp.example.com/mcp.") from error
    parts = urlsplit(url)
    wanted = parts.hostname not in LOOPBACK if token is None else token
    return RemoteServer(url if parts.path else f"{url}/mcp", TOKEN_VARIABLE if wanted else None)


# --- the key


@dataclass(frozen=True, slots=True)
class _KeyFile:
    """A file with a credential, which an entry names; `secret` is the text to write into it, None if it exists."""

    setting: str
    path: Path
    secret: str | None = None

    def replaces(self) -> bool:
        return self.secret is not None and (read_text(self.path) or "").strip() not in {"", self.secret}

    def fill(self) -> list[str]:
        """Write the secret, if there is one to write, and return what to tell about the file."""
        if self.secret is not None:
            write_text(self.path, self.secret + "\n", keep=False)
            return [f"The key is in {self.path}, which nobody else can read."]
        if os.name != "nt" and self.path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return [f"Others on this machine may read {self.path}. Keep it to yourself: chmod 600 {self.path}"]
        return [f"The key is the one in {self.path}; --new-key replaces it."]


def _refuse_combinations(host: str | None, url: str | None, token: bool | None, *others: object) -> None:  # noqa: FBT001 - a tri-state
    if host is None and (token is not None or any((url, *others))):
        raise WrongUsage("These options need the HOST that the entry is for.", "contit-mcp install lists the hosts.")
    if sum(map(bool, (url, *others))) > 1:
        raise WrongUsage("--sandbox, --http, --key-file and --new-key cannot be combined.", "Use one of them.")
    if token is not None and not url:
        raise WrongUsage("--token and --no-token are for --http.", "--key-file names the key of a local entry.")


def _stored_key(folder: Path, setting: str) -> _KeyFile:
    return _KeyFile(setting, folder / KEY_FILES[setting])


def _available_key(given: Path | None, folder: Path, *, new: bool) -> _KeyFile | None:
    """Return the key of --key-file, of the environment or, unless `new`, of a file named there or the stored one."""
    if given is not None:
        return _users_key(given, "--key-file")
    for setting in KEY_FILES:
        if not is_unset(value := os.environ.get(setting)):
            return _new_key(str(value), setting, folder)
        if not new and not is_unset(named := os.environ.get(f"{setting}_FILE")):
            return _users_key(Path(str(named).strip()), f"{setting}_FILE,")
    stored = [_stored_key(folder, setting) for setting in KEY_FILES]
    return next((key for key in stored if not new and key.path.exists()), None)


def _typed_key(folder: Path) -> _KeyFile:
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(
            "No API key was given, and there is no terminal to ask for one.",
            hint="Set CONTIT_API_KEY for this command, or name a file that holds it with --key-file;"
            " or try --sandbox, which needs none.",
        )
    typed = str(click.prompt("API key of your Contit client (it is not shown)", hide_input=True, err=True))
    return _new_key(typed, _API_KEY, folder)


def _accepted_key(available: _KeyFile | None, folder: Path) -> tuple[_KeyFile, list[str]]:
    """Return a key that Contit does not refuse, and what Contit says. If none is `available`, ask up to 3 times."""
    from contit_mcp.cli.findings import try_credential  # noqa: PLC0415 - start-up time

    for key in [available] if available else (_typed_key(folder) for _ in range(3)):
        named = {f"{key.setting}_FILE": str(key.path)} if key.secret is None else {key.setting: key.secret}
        verdict, is_refused = anyio.run(try_credential, load_settings(environment=named | _way_to_contit()))
        if not is_refused:
            return key, [verdict]
        if not available:
            click.echo("Contit refuses this key (401): it is mistyped, expired or revoked.", err=True)
    is_stored = available is not None and available == _stored_key(folder, available.setting)
    hint = "--new-key replaces the stored key." if is_stored else _COPY_AGAIN
    raise ConfigurationError("Contit refuses the key (401), so nothing was written.", hint=hint)


def _files_naming(key_file: Path, installs: Installs) -> dict[Path, str]:
    machine = Machine.this()
    places = [host.place(machine, scope) for host in HOSTS.values() for scope in host.files]
    places += [HostFile(HOSTS[one.host], Path(one.file)) for one in installs.known if one.host in HOSTS]
    return {place.path: place.host.title for place in places if names_key_file(place, key_file)}


def _users_key(path: Path, named: str) -> _KeyFile:
    try:
        path = expanded(path).absolute()
    except ValueError as error:
        raise ConfigurationError(f"The path of the key file {error}.", hint="Name it by its full path.") from None
    if not (secret := (read_text(path) or "").strip()):
        raise ConfigurationError(f"{named} {path} does not exist or is empty.", hint="Name a file that holds the key.")
    return _KeyFile("CONTIT_ACCESS_TOKEN" if secret.startswith(_TOKEN_PREFIX) else _API_KEY, path)


def _new_key(secret: str, setting: str, folder: Path) -> _KeyFile:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigurationError("That does not look like a key: keys are ASCII without blanks.", hint=_COPY_AGAIN)
    setting = "CONTIT_ACCESS_TOKEN" if secret.startswith(_TOKEN_PREFIX) else setting
    return _KeyFile(setting, _stored_key(folder, setting).path, secret)

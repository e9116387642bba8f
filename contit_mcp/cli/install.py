"""contit-mcp install and uninstall: our entry into a host's file and out of it, and the key that the entry names."""

import difflib
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import click
from click.shell_completion import CompletionItem

from contit_mcp.cli.terminal import our_command
from contit_mcp.config.sources import is_unset, load_settings
from contit_mcp.config.values import LOOPBACK, SecretValue, expanded, state_folder, usable_url
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import own_command, read_text, refuse_way_out, write_secret
from contit_mcp.hosts.formats import strictly_wrong
from contit_mcp.hosts.host import NAME, TOKEN_VARIABLE, Host, LocalServer, Machine, RemoteServer, Scope, Server
from contit_mcp.hosts.installing import (
    KEY_FILES,
    WAY_TO_CONTIT,
    Installs,
    carry_out,
    entry_in,
    names_key_file,
    new_file,
    plan_install,
)
from contit_mcp.hosts.installing import uninstall as remove_entry
from contit_mcp.hosts.table import HOSTS

scope_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    help="For you everywhere, or only for the project in this folder.  [user]",
)

_TOKEN_PREFIX = "ctpat_"  # noqa: S105 - how every personal access token of Contit begins
_ASKED = "CONTIT_API_KEY"
_ATTEMPTS = 3
_COPY_AGAIN = "Copy it again from Contit, without anything around it."


class HostName(click.ParamType[Host]):
    """A host by its name here."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Host:
        """Return the host of this name; the error names the nearest one."""
        if isinstance(value, Host):
            return value
        found = HOSTS.get(str(value).lower())
        if found is not None:
            return found
        near = difflib.get_close_matches(str(value).lower(), HOSTS, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        return self.fail(f"Unknown host {value!r}.{meant} The hosts are: {', '.join(HOSTS)}.", param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the hosts whose names begin like this."""
        named = [host for slug, host in HOSTS.items() if slug.startswith(incomplete)]
        return [CompletionItem(host.slug, help=host.title) for host in named]


def file_of(host: Host, scope: str | None) -> Path:
    """Return the file that the host reads on this machine, for its user or for this project.

    Raises:
        ConfigurationError: The host has no such file, or the project's leads out of the project.
    """
    chosen = cast("Scope", scope or next(iter(host.files)))
    if chosen not in host.files:
        raise ConfigurationError(
            f"{host.title} keeps no file for a {chosen}.", hint=f"Leave --scope out, or name {next(iter(host.files))}."
        )
    machine = Machine.this()
    file = host.file(machine, chosen)
    if chosen == "project":
        refuse_way_out(file, machine.project)
    return file


def our_folder() -> Path:
    """Return the folder where we remember the entries that we wrote, and keep the key.

    Raises:
        ConfigurationError: CONTIT_MCP_STATE_DIR cannot be used.
    """
    configured = os.environ.get("CONTIT_MCP_STATE_DIR")
    try:
        return state_folder(None if is_unset(configured) else expanded(Path(str(configured).strip())))
    except ValueError as error:
        raise ConfigurationError(f"CONTIT_MCP_STATE_DIR {error}.", hint="Set it to a full path.") from None


def _in_project(host: Host, scope: str | None) -> bool:
    return (scope or next(iter(host.files))) == "project"


# --- the commands


@click.command()
@click.argument("host", type=HostName(), required=False)
@scope_option
@click.option("--sandbox", is_flag=True, help="An entry that answers from the embedded sandbox; no account needed.")
@click.option("--http", "url", metavar="URL", help="An entry for a contit-mcp server on the network, at /mcp.")
@click.option("--token/--no-token", default=None, help="With --http: whether the server wants a bearer token.")
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="A file that holds the API key.")
@click.option("--new-key", is_flag=True, help="Replace the key that is kept by another one.")
@click.option("--print", "only_print", is_flag=True, help="Print the entry and change nothing.")
@click.option("--force", is_flag=True, help="Replace an entry that was written or changed by hand.")
def install(
    host: Host | None,
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

    Without HOST it lists the hosts, and which of them are found here. A copy of the file is kept. The key is taken from
    CONTIT_API_KEY or CONTIT_ACCESS_TOKEN, or asked for, and tried with Contit; it goes into a file that only you can
    read, which the entry names. contit-mcp uninstall removes all of it.

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
    for_key = "is for an entry with an API key: neither --sandbox nor --http has one."
    for wrong, why in (
        (sandbox and url, "--sandbox and --http are two different entries; name one."),
        (key_file and (sandbox or url), f"--key-file {for_key}"),
        (new_key and (sandbox or url), f"--new-key {for_key}"),
        (key_file and new_key, "--key-file names a file with a key, and --new-key replaces the kept one; name one."),
        (token is not None and not url, "--token and --no-token are for --http; --key-file names a local entry's key."),
    ):
        if wrong:
            raise click.UsageError(why)
    file = file_of(host, scope)
    folder = our_folder()
    local = not (sandbox or url)
    key = choose_key(key_file, folder, new=new_key, ask=False) if local else None
    server = _remote(host, url, token) if url else _local(key)
    if only_print:
        click.echo(f"For {file}:", err=True)
        click.echo(new_file(host, server), nl=False)
        return
    installs = Installs.load(folder)
    plan = plan_install(host, file, server, installs, force=force)  # before anything is asked for
    done = []
    if local:
        key, verdict = _tried(key_file, folder, new=new_key)
        done += verdict
        plan = plan_install(host, file, _local(key), installs, force=force)
    if key and key.replaces() and not new_key:
        raise ConfigurationError(
            f"Another key is stored in {key.path}, which other hosts may use.",
            hint="Add --new-key to replace it, or unset CONTIT_API_KEY and CONTIT_ACCESS_TOKEN to use the stored one.",
        )
    others = _users_of(key.path, installs) if key and key.replaces() else []
    backup = carry_out(plan, installs, key_file=key.path if key else None, in_project=_in_project(host, scope))
    done += key.fill() if key else []  # last, so that no key is kept if no entry could be written
    done += [f"It replaces another key, also for {it.title} ({at})." for it, at in others if at != file]
    words = {"new": "is now in", "same": "is already in", "replaced": "has been replaced in"}
    click.echo(f"{NAME} {words[plan.change]} {file} ({host.title}).")
    if backup:
        click.echo(f"The file as it was before: {backup}")
    if host.strict and (line := strictly_wrong(read_text(file) or "")):
        done.append(
            f"Attention: {host.title} reads no comments and no comma before a closing bracket; one is at line {line}."
            " It was there before."
        )
    for line_out in (*done, *_what_now(host, scope, server)):
        click.echo(line_out)


@click.command()
@click.argument("host", type=HostName())
@scope_option
def uninstall(host: Host, *, scope: str | None) -> None:
    """Remove the entry for contit-mcp from the configuration of a host.

    An unchanged file is put back byte for byte from its copy; else the entry alone is removed, and the copies are
    named. A file that `install` made is removed, and so is the key file once no other entry names it.

    \b
    Examples:
      contit-mcp uninstall claude-desktop
    """
    file = file_of(host, scope)
    folder = our_folder()
    installs = Installs.load(folder)
    removal = remove_entry(host, file, installs, in_project=_in_project(host, scope))
    if not removal.found:
        click.echo(f"There is no {NAME} in {file} ({host.title}).")
    else:
        how = "is as it was before" if removal.exactly else "keeps all its other settings"
        how = how if file.exists() else "was made by install, and is gone too"
        click.echo(f"{NAME} is out of {host.title}; {file} {how}.")
    for backup in removal.backups:
        click.echo(f"A copy from before: {backup}")
    for key_file in removal.key_files:
        if key_file not in _our_key_files(folder).values() or not key_file.exists():
            continue
        if _users_of(key_file, installs):
            click.echo(f"The key stays in {key_file}: another entry takes it from there.")
            continue
        try:
            key_file.unlink()
        except OSError as error:
            why = error.strerror or "unknown reason"
            raise ConfigurationError(
                f"The key in {key_file} cannot be removed: {why}.", hint="Remove it by hand."
            ) from error
        click.echo(f"The key was removed too: {key_file}")


def _list_hosts() -> None:
    machine = Machine.this()
    width = max(map(len, HOSTS))
    click.echo(
        f"{'HOST':{width}}  {'STATE':11}  FILE  (found: used on this machine; installed: has our entry)", err=True
    )
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


def _what_now(host: Host, scope: str | None, server: Server) -> list[str]:
    lines = []
    if isinstance(server, RemoteServer) and server.token_variable:
        lines.append(
            host.remote_note
            or f"Set {server.token_variable} to your bearer token in the environment that {host.title} is started from."
        )
    scoped = f" --scope {scope}" if scope else ""
    return [*lines, host.to_see_it, f"Check it with: {our_command()} check --host {host.slug}{scoped}"]


# --- the entry


def _local(key: "KeyFile | None") -> LocalServer:
    words, before = own_command(sys.argv[0], sys.executable)
    if key is None:
        return LocalServer(words, (*before, "stdio", "--sandbox"))
    return LocalServer(words, (*before, "stdio"), {f"{key.setting}_FILE": str(key.path), **_with_it()})


def _with_it() -> dict[str, str]:
    """Return the variables that lead to Contit and that a host would not know.

    Raises:
        ConfigurationError: One cannot be used, or would write a password into a host's file.
    """
    taken = {name: str(os.environ.get(name)).strip() for name in WAY_TO_CONTIT if not is_unset(os.environ.get(name))}
    name = "CONTIT_CA_FILE"
    try:
        if ca_file := taken.get(name):
            taken[name] = os.path.abspath(expanded(Path(ca_file)))  # noqa: PTH100 - links as they are
        name = "CONTIT_BASE_URL"
        return taken | ({name: usable_url(url)} if (url := taken.get(name)) else {})
    except ValueError as error:
        raise ConfigurationError(
            f"{name} {error}.", hint="It would go into the entry: correct it, or unset it."
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
        raise ConfigurationError(f"--http {error}.", hint="It is the address of the server's /mcp.") from error
    parts = urlsplit(url)
    if not parts.path:
        url = f"{url}/mcp"
    wanted = parts.hostname not in LOOPBACK if token is None else token
    return RemoteServer(url, TOKEN_VARIABLE if wanted else None)


# --- the key


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file with a credential: desktop applications see no variables of a shell.

    Attributes:
        setting: The setting that the credential is the value of; an entry names the file by its `_FILE` variable.
        path: The file.
        secret: The text to write into it; None for a file that exists.
        asked: Whether a person has typed it.
    """

    setting: str
    path: Path
    secret: str | None = None
    asked: bool = False

    def replaces(self) -> bool:
        """Return whether it takes the place of another key."""
        try:
            return self.secret is not None and self.path.read_text(encoding="utf-8").strip() not in {"", self.secret}
        except (OSError, UnicodeDecodeError):
            return False

    def fill(self) -> list[str]:
        """Write the secret, if there is one to write, and return what to tell about the file."""
        if self.secret is not None:
            write_secret(self.path, self.secret + "\n")
            return [f"The key is in {self.path}, which nobody else can read."]
        if os.name != "nt" and self.path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return [f"Others on this machine may read {self.path}. Keep it to yourself: chmod 600 {self.path}"]
        return [f"The key is the one in {self.path}; --new-key replaces it."]


def choose_key(given: Path | None, folder: Path, *, new: bool = False, ask: bool = True) -> KeyFile:
    """Return the credential that an entry is to name: one named here, set here, kept from before, or asked for.

    Args:
        given: A file that the user names.
        folder: Where ours are kept.
        new: Whether the one that is kept is to be replaced.
        ask: Whether a person may be asked; if not, the file is returned that the key would go into.

    Raises:
        ConfigurationError: No key was given, or it does not look like one.
    """
    if given is not None:
        return _of_the_user(given)
    for setting in KEY_FILES:
        if not is_unset(value := os.environ.get(setting)):
            return _to_write(str(value), setting, folder)
        if not is_unset(named := os.environ.get(f"{setting}_FILE")):
            return _of_the_user(Path(str(named).strip()))
    for setting, path in _our_key_files(folder).items():
        if not new and path.exists():
            return KeyFile(setting, path)
    if not ask:
        return KeyFile(_ASKED, _our_key_files(folder)[_ASKED])
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(
            "No API key was given, and there is no terminal to ask for one.",
            hint="Set CONTIT_API_KEY for this command, or name a file that holds it with --key-file;"
            " or try --sandbox, which needs none.",
        )
    typed = str(click.prompt("API key of your Contit client (it is not shown)", hide_input=True, err=True))
    return _to_write(typed, _ASKED, folder, asked=True)


def _tried(given: Path | None, folder: Path, *, new: bool) -> tuple[KeyFile, list[str]]:
    """Return a credential that Contit does not refuse, and what Contit says about it; a refused one is asked for again.

    Raises:
        ConfigurationError: Contit refuses it, and there is nobody to ask.
    """
    from contit_mcp.cli.findings import try_credential  # noqa: PLC0415 - start-up time

    for _ in range(_ATTEMPTS):
        key = choose_key(given, folder, new=new)
        if key.secret is None and key.path in _our_key_files(folder).values():
            return key, []  # it was tried when it came
        named = {f"{key.setting}_FILE": str(key.path)} if key.secret is None else {key.setting: key.secret}
        verdict, refused = anyio.run(try_credential, load_settings(environment=named | _with_it()))
        if not refused:
            return key, [f"The key, {verdict}." if verdict.startswith("not tried") else f"The key: {verdict}."]
        if not key.asked:
            break
        click.echo("Contit refuses this key (401): it is mistyped, expired or revoked.", err=True)
    raise ConfigurationError("Contit refuses the key (401), so nothing was written.", hint=_COPY_AGAIN)


def _our_key_files(folder: Path) -> dict[str, Path]:
    """Return the files that are ours to write and remove, by the setting that each holds."""
    return {setting: _absolute(folder / name) for setting, name in KEY_FILES.items()}


def _users_of(key_file: Path, installs: Installs) -> list[tuple[Host, Path]]:
    """Return the hosts, each with its file, whose entry takes its credential from there."""
    machine = Machine.this()
    places = [(host, host.file(machine, scope)) for host in HOSTS.values() for scope in host.files]
    places += [(HOSTS[one.host], Path(one.file)) for one in installs if one.host in HOSTS]
    found = {(host.slug, file): (host, file) for host, file in places if names_key_file(host, file, key_file)}
    return list(found.values())


def _of_the_user(path: Path) -> KeyFile:
    try:
        path = _absolute(expanded(path))
    except ValueError as error:
        raise ConfigurationError(f"The path of the key file {error}.", hint="Name it by its full path.") from None
    secret = SecretValue(_ASKED, file=path).reveal()
    return KeyFile("CONTIT_ACCESS_TOKEN" if secret.startswith(_TOKEN_PREFIX) else _ASKED, path)


def _to_write(secret: str, setting: str, folder: Path, *, asked: bool = False) -> KeyFile:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigurationError(
            "That does not look like a key: it is empty, or contains a blank or a character that keys never have.",
            hint=_COPY_AGAIN,
        )
    setting = "CONTIT_ACCESS_TOKEN" if secret.startswith(_TOKEN_PREFIX) else setting
    return KeyFile(setting, _our_key_files(folder)[setting], secret, asked)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links are named as they are

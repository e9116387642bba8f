"""Add our entry to a host's file, and remove it again; raise ConfigurationError where that cannot be done.

A backup of the file is made before a change. `uninstall` restores it if the file is still as we wrote it. Otherwise it
removes the entry alone, and the backups stay for the user to compare.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import back_up, read_text, write_text
from contit_mcp.hosts.formats import UneditableError, edited, read
from contit_mcp.hosts.host import Host, HostFile, LocalServer, Server, read_entry
from contit_mcp.hosts.table import HOSTS

KEY_FILES = {"CONTIT_API_KEY": "api-key", "CONTIT_ACCESS_TOKEN": "access-token"}
"""The names of the files in which `install` stores a credential, by setting."""

WAY_TO_CONTIT = ("CONTIT_BASE_URL", "CONTIT_CA_FILE")  # an entry has them too, since a host does not know them


@dataclass(frozen=True, slots=True)
class Install:
    """One entry that we wrote: the host's slug, and its file with links followed."""

    host: str
    file: str
    written: str = ""  # the SHA-256 of the file as we wrote it
    values: Mapping[str, Any] = field(default_factory=dict)  # of our additions, by section
    created: tuple[str, ...] = ()  # what only `install` made and wrote: the file, and folders, innermost first
    backups: tuple[str, ...] = ()  # copies of the file as it was before each change, oldest first


_INSTALLS = TypeAdapter(list[Install])


class Installs:
    """All entries that we wrote, in one file of the state folder; if it cannot be read, none is known."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "host-entries.json"
        try:
            self.known = _INSTALLS.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            self.known = []

    def of(self, place: HostFile) -> Install:
        """Return the entry in a file, by any links that lead there; one without `written` if we wrote none."""
        none = Install(place.host.slug, os.path.realpath(place.path))
        return next((one for one in self.known if (one.host, one.file) == (none.host, none.file)), none)

    def replace(self, old: Install, new: Install | None) -> None:
        """Keep the new entry in place of the old one."""
        self.known = [*(one for one in self.known if one != old), *([new] if new else [])]
        if self.known:
            write_text(self._path, _INSTALLS.dump_json(self.known, indent=1).decode())
        else:
            self._path.unlink(missing_ok=True)


def entry_in(place: HostFile) -> Server | None:
    """Return the server that our entry in the file makes the host use; None if there is no entry."""
    return read_entry(place.host.additions()[0].find(_read(place)[1]))


def is_ours(place: HostFile, installs: Installs) -> bool:
    """Return whether our entry in the file is the one that `install` wrote."""
    # The values count: some hosts rewrite their file in their own way each time that they are used.
    document, values = _read(place)[1], installs.of(place).values
    main, *others = [(one.find(document), values.get(one.section)) for one in place.host.additions()]
    return main[0] is not None and main[0] == main[1] and all(found in (None, written) for found, written in others)


def new_file(host: Host, server: Server) -> str:
    """Return the text of a file that has nothing but our entry in it."""
    lines = '{{\n  "{0}": "{1}"\n}}\n' if host.format == "json" else "{0}: {1}\n"
    head = "".join(lines.format(name, value) for name, value in host.head.items())
    return edited(head, host.format, removed=(), added=host.additions(server))


def plan_install(
    place: HostFile, server: Server, installs: Installs, *, force: bool = False
) -> tuple[str, str | None, str]:
    """Return "new", "same" or "replaced", the text of the file (None if there is none), and the text that it gets."""
    host, file = place.host, place.path
    text, document = _read(place)
    additions = host.additions(server)
    is_there = additions[0].find(document) is not None
    if is_there and text is not None and all(one.find(document) == one.value for one in additions):
        return "same", text, text
    if is_there and not force and not is_ours(place, installs):
        raise ConfigurationError(
            f"{file} has an entry {additions[0].name} that was written or changed by hand.",
            hint="--force replaces it by ours; --print shows ours and changes nothing.",
        )
    if text is None and host.hides and (older := file.with_name(host.hides)).exists():
        raise ConfigurationError(
            f"{host.title} reads {older} only as long as there is no {file}: a new one would hide it.",
            hint=f"Turn the old file into {file.name} first, as {host.title} documents it, and try again.",
        )
    with _errors_about(place):
        if text is None:
            after = new_file(host, server)
        else:
            after = edited(text, host.format, removed=host.additions(), added=additions)
        try:
            f"{file}{after}".encode()
        except UnicodeEncodeError:
            raise UneditableError("its path, or one in the entry, is not UTF-8 text") from None
    return "replaced" if is_there else "new", text, after


def install(place: HostFile, server: Server, installs: Installs, *, force: bool = False) -> tuple[str, Path | None]:
    """Write the entry. Returns what was done, and the backup if one was made."""
    change, before, after = plan_install(place, server, installs, force=force)
    known = installs.of(place)
    new = replace(known, values={one.section: one.value for one in place.host.additions(server)})
    made = None
    if change != "same":
        new = replace(new, written=_digest(after))
        if before is None:
            created = [path for path in (Path(new.file), *Path(new.file).parents) if not path.exists()]
            new = replace(new, created=tuple(map(str, created)), backups=())
        elif known.written != _digest(before):
            made = _back_up(place, installs)
            new = replace(new, created=(), backups=(*known.backups, str(made)))
    # The record comes first: an entry without one could only be removed as one that was written by hand.
    installs.replace(known, new)
    if change != "same":
        write_text(place.path, after, mode=0o644 if place.in_project else 0o600)
    return change, made


def uninstall(place: HostFile, installs: Installs) -> dict[Path, str] | None:
    """Remove our entry; return the backups that stay, oldest first, and what made each; None without an entry."""
    known, ours, kind = installs.of(place), place.host.additions(), place.host.format
    text, document = _read(place)
    if text is None or ours[0].find(document) is None:
        installs.replace(known, None)
        return None
    named = ((Path(one), "a later install" if number else "install") for number, one in enumerate(known.backups))
    backups = {backup: command for backup, command in named if backup.exists()}
    is_as_written = known.written == _digest(text)
    if is_as_written and known.created:
        file, *folders = map(Path, known.created)
        file.unlink()
        with suppress(OSError):  # something else is in it
            for folder in folders:
                folder.rmdir()
    else:
        last = next(reversed(backups), None) if is_as_written else None
        original = read_text(last) if last else None
        with _errors_about(place):
            if original is not None and ours[0].find(read(original, kind)) is not None:
                original = None
            after = edited(text, kind, removed=ours) if original is None else original
        if last is None:
            backups[_back_up(place, installs)] = "uninstall"
        write_text(place.path, after)
        if last and original is not None:
            last.unlink()
            del backups[last]
    installs.replace(known, None)
    return backups


def names_key_file(place: HostFile, key_file: Path) -> bool:
    """Return whether our entry in the file takes its key from there; a broken file does if it has that file's name."""
    try:
        server = entry_in(place)
    except ConfigurationError:
        with suppress(ConfigurationError):
            return key_file.name in (read_text(place.path) or "")
        return True
    return isinstance(server, LocalServer) and any(_is_path_of(key_file, text) for text in server.environment.values())


def stored_environment(folder: Path) -> dict[str, str]:
    """Return the variables of the latest entry that we wrote with a credential: its file, and the way to Contit."""
    for known in reversed(Installs(folder).known):
        server = read_entry(known.values.get(HOSTS[known.host].section)) if known.host in HOSTS else None
        found = server.environment if isinstance(server, LocalServer) else {}
        for variable in (f"{setting}_FILE" for setting in KEY_FILES):
            if variable in found and os.path.isfile(found[variable]):  # noqa: PTH113 - Path's raises for odd texts
                return {name: found[name] for name in (variable, *WAY_TO_CONTIT) if name in found}
    return {}


def _read(place: HostFile) -> tuple[str | None, Any]:
    """Return the text of the file and what it says, each None if there is no file."""
    text = read_text(place.path)
    with _errors_about(place):
        return text, None if text is None else read(text, place.host.format)


def _is_path_of(file: Path, text: str) -> bool:
    try:
        return os.path.realpath(os.path.expanduser(text)) == os.path.realpath(file)  # noqa: PTH111 - Path's raises more
    except ValueError:  # no path
        return False


def _back_up(place: HostFile, installs: Installs) -> Path:
    """Make a backup beside the file; of a project's file in our folder, since a backup may hold keys."""
    return back_up(place.path, installs.folder / "backups" if place.in_project else place.path.parent)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@contextmanager
def _errors_about(place: HostFile) -> Iterator[None]:
    try:
        yield
    except UneditableError as error:
        raise ConfigurationError(
            f"{place.path} was left alone: {error}.",
            hint=f"Edit it by hand; contit-mcp install {place.host.slug} --print shows the entry.",
        ) from None
    except Exception as error:  # noqa: BLE001 - the libraries raise many kinds for numbers and nesting out of all bounds
        problem = str(error).partition(" (char ")[0]
        if mark := getattr(error, "problem_mark", None):  # of ruamel.yaml, whose text quotes the file
            problem = f"{getattr(error, 'problem', None)}: line {mark.line + 1}"
        problem = f"{place.path} cannot be read: {problem[:1].lower()}{problem[1:300]}."
        raise ConfigurationError(problem, hint="Correct it in an editor, and try again.") from None

"""Our entry into a host's file, and out of it again.

A copy of the file is kept before the first change. `uninstall` puts that copy back if the file is still as we wrote
it; else the entry alone is removed, and the copies stay for the user to compare.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.document import (
    Addition,
    UnreadableTextError,
    UnsuitableTextError,
    with_additions,
    without_additions,
)
from contit_mcp.hosts.entries import LocalServer, Server, read_entry
from contit_mcp.hosts.files import back_up, is_same_file, read_text, unreadable, unsuitable, write_secret, write_text
from contit_mcp.hosts.formats import FORMATS
from contit_mcp.hosts.host import Host
from contit_mcp.hosts.table import HOSTS

FILE_NAME = "host-entries.json"
KEY_FILES = {"CONTIT_API_KEY": "api-key", "CONTIT_ACCESS_TOKEN": "access-token"}
"""The files that `install` keeps a credential in, by the setting that it is the value of."""

WAY_TO_CONTIT = ("CONTIT_BASE_URL", "CONTIT_CA_FILE")
"""What an entry needs beside the credential to reach Contit, since a host does not know it."""

_BACKUPS = "backups"


@dataclass(frozen=True, slots=True)
class Install:
    """One entry that we wrote.

    Attributes:
        host: The host's slug.
        file: Its file.
        written: The SHA-256 of the file as we wrote it.
        values: The values of our additions, by section.
        created: The file and folders that did not exist before, innermost first; links are followed.
        backup: The copy of the file as it was before our entry.
        restorable: Whether that copy lacks nothing but our entry; not so if the file was changed between two installs.
        key_files: The files that the entry, and those that it replaced, take or took the credential from.
    """

    host: str
    file: str
    written: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    created: tuple[str, ...] = ()
    backup: str | None = None
    restorable: bool = True
    key_files: tuple[str, ...] = ()


_INSTALLS = TypeAdapter(list[Install])


class Installs:
    """All entries that we wrote, in one file of the state folder."""

    def __init__(self, folder: Path, known: Sequence[Install] = ()) -> None:
        self.backups = folder / _BACKUPS
        self._path = folder / FILE_NAME
        self._known = list(known)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them. A file that cannot be read counts as none: the entries are then like ones written by hand."""
        try:
            return cls(folder, _INSTALLS.validate_json((folder / FILE_NAME).read_bytes()))
        except (OSError, ValidationError):
            return cls(folder)

    def __iter__(self) -> Iterator[Install]:
        return iter(self._known)

    def of(self, host: str, file: Path) -> Install | None:
        """Return the entry of a host in a file, by any links that lead there."""
        return next((one for one in self._known if one.host == host and is_same_file(one.file, file)), None)

    def remember(self, install: Install) -> None:
        """Keep it in place of the earlier one in the same file."""
        others = [one for one in self._known if one.host != install.host or not is_same_file(one.file, install.file)]
        self._known = [*others, install]
        self._save()

    def forget(self, host: str, file: Path) -> None:
        """Drop the entry. Folders that were made for it and are still in use go with the last entry in them."""
        if (gone := self.of(host, file)) is None:
            return
        self._known = [one for one in self._known if one != gone]
        left = [folder for folder in gone.created if Path(folder).is_dir()]
        for number, one in enumerate(self._known):
            if inherited := [folder for folder in left if Path(folder) in Path(os.path.realpath(one.file)).parents]:
                self._known[number] = replace(one, created=(*one.created, *inherited))
                break
        self._save()

    def _save(self) -> None:
        if self._known:
            write_secret(self._path, json.dumps([asdict(one) for one in self._known], indent=1))
        else:
            self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be written.

    Attributes:
        host: The host.
        file: Its file.
        change: Whether the entry is new, is already there, or replaces another.
        before: The text of the file; None if it does not exist.
        after: The text that it will have.
        values: The values of our additions, by section.
        ours: Whether the entry that it replaces is as we wrote it, so that nothing is lost.
    """

    host: Host
    file: Path
    change: Literal["new", "same", "replaced"]
    before: str | None
    after: str
    values: Mapping[str, Any]
    ours: bool


def entry_in(host: Host, file: Path) -> Server | None:
    """Return the server that our entry in the file makes the host use; None if there is no entry.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    text = read_text(file)
    with _telling_of(file):
        return None if text is None else read_entry(_main(host).find(FORMATS[host.format].read(text)))


def is_ours(host: Host, file: Path, installs: Installs) -> bool:
    """Whether our entry in the file is the one that `install` wrote, unchanged.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    text, known = read_text(file), installs.of(host.slug, file)
    with _telling_of(file):
        return known is not None and text is not None and _as_written(host, FORMATS[host.format].read(text), known)


def new_file(host: Host, server: Server) -> str:
    """Return the text of a file that has nothing but our entry in it."""
    return with_additions(_new_text(host), host.additions(server), FORMATS[host.format])


def plan_install(host: Host, file: Path, server: Server, installs: Installs, *, force: bool = False) -> Plan:
    """Return what would be written; nothing is changed. `force`: replace an entry that somebody else wrote or changed.

    Raises:
        ConfigurationError: The file is broken, has no place for an entry, or has one that is not as we wrote it.
    """
    text = read_text(file)
    known = installs.of(host.slug, file)
    additions = host.additions(server)
    values = {one.section: one.value for one in additions}
    file_format = FORMATS[host.format]
    with _telling_of(file):
        document = file_format.read(text) if text is not None else None
        present = _main(host).find(document)
        ours = known is not None and present is not None and _as_written(host, document, known)
        if present is not None and all(one.find(document) == one.value for one in additions):
            return Plan(host, file, "same", text, text or "", values, ours)
        if present is not None and not force and not ours:
            raise ConfigurationError(
                f"{file} has an entry {additions[0].name} that was written or changed by hand.",
                hint="--force replaces it by ours; --print shows ours and changes nothing.",
            )
        if text is None and host.hides and (older := file.with_name(host.hides)).exists():
            raise ConfigurationError(
                f"{host.title} reads {older} only as long as there is no {file}: a new one would hide it.",
                hint=f"Turn the old file into {file.name} first, as {host.title} documents it, and try again.",
            )
        base = _new_text(host) if text is None else without_additions(text, host.possible_additions(), file_format)[0]
        after = with_additions(base, additions, file_format)
        if not _is_text(f"{file}{after}"):
            raise UnsuitableTextError("its path, or one in the entry, is not UTF-8 text")
    change: Literal["new", "replaced"] = "new" if present is None else "replaced"
    return Plan(host, file, change, text, after, values, ours)


def carry_out(plan: Plan, installs: Installs, *, key_file: Path | None = None, in_project: bool = False) -> Path | None:
    """Write it. Returns the backup, if one was made or kept.

    Args:
        plan: What to write.
        installs: The entries that we wrote.
        key_file: The file that the entry takes its credential from.
        in_project: Whether the file is a project's: then its backup goes into the state folder, not the repository.

    Raises:
        ConfigurationError: It cannot be written, or the file has changed since.
    """
    if read_text(plan.file) != plan.before:
        raise ConfigurationError(f"{plan.file} was changed meanwhile, so it was left alone.", hint="Try again.")
    known = installs.of(plan.host.slug, plan.file)
    untouched = known is not None and plan.before is not None and known.written == _digest(plan.before)
    made = None
    loses = plan.change == "new" or not plan.ours or not FORMATS[plan.host.format].exact
    if plan.change != "same" and plan.before is not None and not untouched and loses:
        made = back_up(plan.file, folder=installs.backups if in_project else None)
    backup = str(made) if made and plan.change == "new" else known.backup if known else None
    key_files = (*(known.key_files if known else ()), *([str(key_file)] if key_file else ()))
    written = known.written if known and plan.change == "same" else _digest(plan.after)
    # First the memory: an entry that it does not know could only be removed as one written by hand.
    installs.remember(
        Install(
            host=plan.host.slug,
            file=str(plan.file),
            written=written,
            values=plan.values,
            created=known.created if known and plan.before is not None else tuple(map(str, _missing(plan.file))),
            backup=backup,
            restorable=plan.change == "new" or (known is not None and known.restorable and untouched),
            key_files=tuple(dict.fromkeys(key_files)),
        )
    )
    if plan.change != "same":
        write_text(plan.file, plan.after, in_project=in_project)
    return made


@dataclass(frozen=True, slots=True)
class Removal:
    """What was done.

    Attributes:
        found: Whether there was an entry.
        exactly: Whether the file is byte for byte as it was before our entry, or gone again.
        backups: Copies of the file that are kept, since it may differ from them in more than our entry.
        key_files: The files that the entry took the credential from.
    """

    found: bool
    exactly: bool
    backups: tuple[Path, ...]
    key_files: tuple[Path, ...]


def uninstall(host: Host, file: Path, installs: Installs, *, in_project: bool = False) -> Removal:
    """Remove our entry.

    Raises:
        ConfigurationError: The file is broken, or the entry cannot be removed safely.
    """
    text = read_text(file)
    known = installs.of(host.slug, file) or Install(host.slug, str(file))
    key_files = tuple(map(Path, known.key_files))
    original = Path(known.backup) if known.backup else None
    file_format = FORMATS[host.format]
    with _telling_of(file):
        if text is None or _main(host).find(file_format.read(text)) is None:
            installs.forget(host.slug, file)
            return Removal(found=False, exactly=False, backups=(), key_files=key_files)
        after, cleanly = without_additions(text, host.possible_additions(), file_format)
    backups: tuple[Path, ...] = ()
    exactly = True
    before = read_text(original) if original else None
    # Without white space: after a change by hand there may be other white space.
    if os.path.realpath(file) in known.created and _words(after) in {_words(_new_text(host)), "{}", ""}:
        _take_away(known.created)
    elif original is not None and before is not None and known.restorable and known.written == _digest(text):
        write_text(file, before, in_project=in_project)
        original.unlink()
    else:
        if not cleanly:
            backups = (back_up(file, folder=installs.backups if in_project else None),)
        write_text(file, after, in_project=in_project)
        exactly = before == after
        if original is not None and exactly:
            original.unlink()
        elif original is not None and before is not None:
            backups = (original, *backups)
    installs.forget(host.slug, file)
    if installs.backups.is_dir() and not any(installs.backups.iterdir()):
        installs.backups.rmdir()
    return Removal(found=True, exactly=exactly, backups=tuple(dict.fromkeys(backups)), key_files=key_files)


def names_key_file(host: Host, file: Path, key_file: Path) -> bool:
    """Whether our entry in the file takes its key from there. A file that cannot be read is assumed to."""
    try:
        server = entry_in(host, file)
    except ConfigurationError:
        return True
    named = server.environment.values() if isinstance(server, LocalServer) else ()
    return any(is_same_file(text, key_file) for text in named)


def stored_environment(folder: Path) -> dict[str, str]:
    """Return the variables of the latest entry that we wrote with a credential: its file, and the way to Contit."""
    for known in reversed(list(Installs.load(folder))):
        server = read_entry(known.values.get(HOSTS[known.host].section)) if known.host in HOSTS else None
        found = server.environment if isinstance(server, LocalServer) else {}
        for variable in (f"{setting}_FILE" for setting in KEY_FILES):
            if variable in found and os.path.isfile(found[variable]):  # noqa: PTH113 - Path's raises for odd texts
                return {name: found[name] for name in (variable, *WAY_TO_CONTIT) if name in found}
    kept = {f"{setting}_FILE": folder / name for setting, name in KEY_FILES.items() if (folder / name).is_file()}
    return {variable: str(file) for variable, file in list(kept.items())[:1]}


def _main(host: Host) -> Addition:
    return host.possible_additions()[0]


def _new_text(host: Host) -> str:
    """Return the text of a new file before our entry is in it."""
    text = ""
    for name, value in host.head.items():
        text += f"{name}: {value}\n" if host.format == "yaml" else f'{{\n  "{name}": "{value}"\n}}\n'
    return text


def _as_written(host: Host, document: object, known: Install) -> bool:
    """By the values: some hosts write their file anew, in their own way, each time that they are used."""
    ours = [(one.find(document), known.values.get(one.section)) for one in host.possible_additions()]
    return ours[0][0] is not None and all(found in (None, written) for found, written in ours)


def _is_text(text: str) -> bool:
    """Whether it can be written. A path need not be text; it holds lone surrogates then."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _words(text: str) -> str:
    return "".join(text.split())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _missing(file: Path) -> list[Path]:
    """Return the paths that have to be made for the file, innermost first, with links followed."""
    target = Path(os.path.realpath(file))
    return [path for path in (target, *target.parents) if not path.exists()]


def _take_away(created: Sequence[str]) -> None:
    """Remove the file and folders that we made, as long as nothing else is in them."""
    for path in map(Path, created):
        if path.is_dir():
            if any(path.iterdir()):
                return
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _telling_of(file: Path) -> Iterator[None]:
    try:
        yield
    except UnreadableTextError as error:
        raise unreadable(file, error) from None
    except UnsuitableTextError as error:
        raise unsuitable(file, error) from None
    except Exception as error:
        if isinstance(error, ConfigurationError):
            raise
        # The libraries of the formats raise errors of many kinds for numbers and nesting out of all bounds.
        raise unreadable(file, UnreadableTextError(1, "somewhere in it is a value that cannot be read")) from None

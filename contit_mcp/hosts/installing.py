"""Our entry into a host's file, and out of it again.

A copy of the file is kept before a change. `uninstall` puts the copy back if the file is still as we wrote it; else the
entry alone is removed, and the copies stay for the user to compare.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.document import UnreadableTextError, UnsuitableTextError, with_additions, without_additions
from contit_mcp.hosts.files import back_up, is_same_file, read_text, write_secret, write_text
from contit_mcp.hosts.formats import FORMATS
from contit_mcp.hosts.host import Host, LocalServer, Server, read_entry
from contit_mcp.hosts.table import HOSTS

KEY_FILES = {"CONTIT_API_KEY": "api-key", "CONTIT_ACCESS_TOKEN": "access-token"}
"""The files that `install` keeps a credential in, by the setting that it is the value of."""

WAY_TO_CONTIT = ("CONTIT_BASE_URL", "CONTIT_CA_FILE")
"""What an entry needs beside the credential to reach Contit, since a host does not know it."""


@dataclass(frozen=True, slots=True)
class Install:
    """One entry that we wrote.

    Attributes:
        host: The host's slug.
        file: Its file.
        written: The SHA-256 of the file as we wrote it.
        values: The values of our additions, by section.
        created: The file and folders that did not exist before, innermost first; links are followed.
        backup: A copy of the file that differs from what we wrote in our entry alone.
        key_files: The files that the entry, and those that it replaced, take or took the credential from.
    """

    host: str
    file: str
    written: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    created: tuple[str, ...] = ()
    backup: str | None = None
    key_files: tuple[str, ...] = ()


_INSTALLS = TypeAdapter(list[Install])


class Installs:
    """All entries that we wrote, in one file of the state folder."""

    def __init__(self, folder: Path, known: Sequence[Install] = ()) -> None:
        self.backups = folder / "backups"
        self._path = folder / "host-entries.json"
        self._known = list(known)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them. If the file cannot be read, all entries count as written by hand."""
        try:
            return cls(folder, _INSTALLS.validate_json((folder / "host-entries.json").read_bytes()))
        except (OSError, ValidationError):
            return cls(folder)

    def __iter__(self) -> Iterator[Install]:
        return iter(self._known)

    def of(self, host: str, file: Path) -> Install | None:
        """Return the entry of a host in a file, by any links that lead there."""
        return next((one for one in self._known if one.host == host and is_same_file(one.file, file)), None)

    def remember(self, install: Install) -> None:
        """Keep it in place of the earlier one in the same file."""
        known = self.of(install.host, Path(install.file))
        self._save([*(one for one in self._known if one != known), install])

    def forget(self, host: str, file: Path) -> None:
        """Drop the entry of a host in a file."""
        gone = self.of(host, file)
        self._save([one for one in self._known if one != gone])

    def _save(self, known: list[Install]) -> None:
        self._known = known
        if known:
            write_secret(self._path, json.dumps([asdict(one) for one in known], indent=1))
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
    """

    host: Host
    file: Path
    change: Literal["new", "same", "replaced"]
    before: str | None
    after: str
    values: Mapping[str, Any]


def entry_in(host: Host, file: Path) -> Server | None:
    """Return the server that our entry in the file makes the host use; None if there is no entry.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    text = read_text(file)
    with _errors_about(file):
        found = None if text is None else FORMATS[host.format].read(text)
        return read_entry(host.possible_additions()[0].find(found))


def is_ours(host: Host, file: Path, installs: Installs) -> bool:
    """Return whether our entry in the file is the one that `install` wrote, unchanged.

    The values count: some hosts write their file anew, in their own way, each time that they are used.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    text, known = read_text(file), installs.of(host.slug, file)
    if known is None or text is None:
        return False
    with _errors_about(file):
        document = FORMATS[host.format].read(text)
    main, *others = [(one.find(document), known.values.get(one.section)) for one in host.possible_additions()]
    return main[0] is not None and main[0] == main[1] and all(found in (None, written) for found, written in others)


def new_file(host: Host, server: Server) -> str:
    """Return the text of a file that has nothing but our entry in it."""
    return with_additions(_new_text(host), host.additions(server), FORMATS[host.format])


def plan_install(host: Host, file: Path, server: Server, installs: Installs, *, force: bool = False) -> Plan:
    """Return what would be written; nothing is changed. `force`: replace an entry that somebody else wrote or changed.

    Raises:
        ConfigurationError: The file is broken, has no place for an entry, or has one that is not as we wrote it.
    """
    text = read_text(file)
    additions = host.additions(server)
    values = {one.section: one.value for one in additions}
    file_format = FORMATS[host.format]
    with _errors_about(file):
        document = file_format.read(text) if text is not None else None
        present = additions[0].find(document)
        if present is not None and all(one.find(document) == one.value for one in additions):
            return Plan(host, file, "same", text, text or "", values)
        if present is not None and not force and not is_ours(host, file, installs):
            raise ConfigurationError(
                f"{file} has an entry {additions[0].name} that was written or changed by hand.",
                hint="--force replaces it by ours; --print shows ours and changes nothing.",
            )
        if text is None and host.hides and (older := file.with_name(host.hides)).exists():
            raise ConfigurationError(
                f"{host.title} reads {older} only as long as there is no {file}: a new one would hide it.",
                hint=f"Turn the old file into {file.name} first, as {host.title} documents it, and try again.",
            )
        base = _new_text(host) if text is None else without_additions(text, host.possible_additions(), file_format)
        after = with_additions(base, additions, file_format)
        try:
            f"{file}{after}".encode()
        except UnicodeEncodeError:
            raise UnsuitableTextError("its path, or one in the entry, is not UTF-8 text") from None
    return Plan(host, file, "new" if present is None else "replaced", text, after, values)


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
    known = installs.of(plan.host.slug, plan.file) or Install(plan.host.slug, str(plan.file))
    untouched = plan.before is not None and known.written == _digest(plan.before)
    made = None
    if plan.change != "same" and plan.before is not None and not untouched:
        made = back_up(plan.file, folder=installs.backups if in_project else None)
    if plan.change == "same" or untouched:
        backup = known.backup
    else:
        backup = str(made) if made and plan.change == "new" else None
    target = Path(os.path.realpath(plan.file))
    missing = tuple(str(path) for path in (target, *target.parents) if not path.exists())
    # First the memory: an entry that it does not know could only be removed as one written by hand.
    installs.remember(
        Install(
            host=plan.host.slug,
            file=str(plan.file),
            written=known.written if plan.change == "same" else _digest(plan.after),
            values=plan.values,
            created=missing or known.created,
            backup=backup,
            key_files=tuple(dict.fromkeys((*known.key_files, *([str(key_file)] if key_file else ())))),
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
    with _errors_about(file):
        if text is None or host.possible_additions()[0].find(FORMATS[host.format].read(text)) is None:
            installs.forget(host.slug, file)
            return Removal(found=False, exactly=False, backups=(), key_files=key_files)
        after = without_additions(text, host.possible_additions(), FORMATS[host.format])
    backup = Path(known.backup) if known.backup else None
    original = read_text(backup) if backup else None
    if original is not None and known.written == _digest(text):
        after = original
    backups: list[Path] = []
    # Without white space: after a change by hand there may be other white space.
    gone = os.path.realpath(file) in known.created and _words(after) in {_words(_new_text(host)), "{}", ""}
    if gone:
        _take_away(known.created)
    else:
        if after != original:
            backups = [backup] if backup and original is not None else []
            if host.format != "json":  # where the edit may change white space and comments elsewhere
                backups.append(back_up(file, folder=installs.backups if in_project else None))
        write_text(file, after, in_project=in_project)
        if backup and after == original:
            backup.unlink()
    installs.forget(host.slug, file)
    return Removal(found=True, exactly=gone or after == original, backups=tuple(backups), key_files=key_files)


def names_key_file(host: Host, file: Path, key_file: Path) -> bool:
    """Return whether our entry in the file takes its key from there.

    A broken file does so if the path is in its text, and a file that cannot be read at all may.
    """
    try:
        server = entry_in(host, file)
    except ConfigurationError:
        try:
            return key_file.name in (read_text(file) or "")
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


def _new_text(host: Host) -> str:
    """Return the text of a new file before our entry is in it."""
    lines = '{{\n  "{0}": "{1}"\n}}\n' if host.format == "json" else "{0}: {1}\n"
    return "".join(lines.format(name, value) for name, value in host.head.items())


def _words(text: str) -> str:
    return "".join(text.split())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _take_away(created: Sequence[str]) -> None:
    """Remove the file and folders that we made, as long as nothing else is in them."""
    for path in map(Path, created):
        if not path.is_dir():
            path.unlink(missing_ok=True)
        elif any(path.iterdir()):
            return
        else:
            path.rmdir()


@contextmanager
def _errors_about(file: Path) -> Iterator[None]:
    try:
        yield
    except UnsuitableTextError as error:
        raise ConfigurationError(
            f"{file} was left alone: {error}.", hint="Edit it by hand; contit-mcp install HOST --print shows the entry."
        ) from None
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - the libraries raise many kinds for numbers and nesting out of all bounds
        if not isinstance(error, UnreadableTextError):
            error = UnreadableTextError(1, "somewhere in it is a value that cannot be read")
        raise ConfigurationError(
            f"{file}, line {error.line}: {error.problem}. The file was left alone.",
            hint="Correct it in an editor, and try again.",
        ) from None

"""Our entry into a host's file, and out of it again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contit_mcp.exceptions import ConfigurationError
from contit_mcp.hosts.addition import Addition, UnreadableTextError, UnsuitableTextError
from contit_mcp.hosts.files import back_up, backup_of, read_text, unreadable, unsuitable, write_text
from contit_mcp.hosts.host import Host
from contit_mcp.hosts.installs import Install, Installs
from contit_mcp.hosts.servers import LocalServer, Server, read_entry
from contit_mcp.hosts.splicing import FORMATS, with_additions, without_additions


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be written.

    Attributes:
        host: The host.
        file: Its file.
        change: Whether the entry is new, stands there already, or takes the place of another.
        before: What the file says now; None if it is not there.
        after: What it will say.
        inserted: Our pieces of that.
    """

    host: Host
    file: Path
    change: Literal["new", "same", "replaced"]
    before: str | None
    after: str
    inserted: tuple[str, ...]


def entry_in(host: Host, file: Path) -> Server | None:
    """What our entry in the file makes the host do; None where there is none.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    text = read_text(file)
    with _telling_of(file):
        return None if text is None else read_entry(_main(host).find(FORMATS[host.format].read(text)))


def new_file(host: Host, server: Server) -> str:
    """What a file says that has nothing but our entry in it."""
    return with_additions(_new_text(host), host.additions(server), FORMATS[host.format]).text


def plan_install(host: Host, file: Path, server: Server, installs: Installs, *, force: bool = False) -> Plan:
    """Look what would be written; nothing is changed. `force`: replace an entry that somebody else wrote or changed.

    Raises:
        ConfigurationError: The file is broken, has no place for an entry, or has one that is not as we wrote it.
    """
    text = read_text(file)
    known = installs.of(host.slug, file)
    inserted = known.inserted if known else ()
    additions = host.additions(server)
    file_format = FORMATS[host.format]
    with _telling_of(file):
        document = file_format.read(text) if text is not None else None
        present = _main(host).find(document)
        if present is not None and all(one.find(document) == one.value for one in additions):
            return Plan(host, file, "same", text, text or "", inserted)
        if present is not None and not force and not _is_as_written(text or "", inserted):
            raise ConfigurationError(
                f"{file} has an entry {additions[0].name} that was written or changed by hand.",
                hint="--force puts ours in its place; --print shows it and changes nothing.",
            )
        base = (
            "" if text is None else without_additions(text, host.possible_additions(), file_format, inserted=inserted)
        )
        base = base if text is not None else _new_text(host)
        spliced = with_additions(base, additions, file_format)
    return Plan(host, file, "new" if present is None else "replaced", text, spliced.text, spliced.inserted)


def carry_out(plan: Plan, installs: Installs, *, key_file: Path | None = None) -> Path | None:
    """Write it. Returns the backup, where there was something to keep.

    Raises:
        ConfigurationError: It cannot be written.
    """
    known = installs.of(plan.host.slug, plan.file)
    missing = tuple(str(path) for path in _missing(plan.file))
    created = known.created if known and plan.before is not None else missing
    # First the memory: an entry that it does not know could only be taken out in the plain way.
    installs.remember(
        Install(plan.host.slug, str(plan.file), plan.inserted, created, str(key_file) if key_file else None)
    )
    if plan.change == "same":
        return None
    backup = back_up(plan.file) if plan.before is not None and known is None else None
    write_text(plan.file, plan.after)
    return backup


@dataclass(frozen=True, slots=True)
class Removal:
    """What was done.

    Attributes:
        exactly: Whether the file is what it was before us, byte for byte: its backup says so, or it is gone again.
        backup: The backup that was kept, since it says something else.
        key_file: The key file of ours that the entry named.
    """

    exactly: bool
    backup: Path | None
    key_file: Path | None


def uninstall(host: Host, file: Path, installs: Installs) -> Removal | None:
    """Take our entry out. None: there was none.

    Raises:
        ConfigurationError: The file is broken, or the entry cannot be taken out safely.
    """
    text = read_text(file)
    known = installs.of(host.slug, file)
    with _telling_of(file):
        if text is None or _main(host).find(FORMATS[host.format].read(text)) is None:
            installs.forget(host.slug, file)
            return None
        after = without_additions(
            text, host.possible_additions(), FORMATS[host.format], inserted=known.inserted if known else ()
        )
    created = known.created if known else ()
    # Without white space: after a change by hand there may be another.
    if str(file) in created and "".join(after.split()) in {"".join(_new_text(host).split()), "{}", ""}:
        _take_away(created)
        exactly, backup = True, None
    else:
        write_text(file, after)
        backup = backup_of(file) if backup_of(file).exists() else None
        exactly = backup is not None and read_text(backup) == after
        if backup is not None and exactly:
            backup.unlink()
            backup = None
    installs.forget(host.slug, file)
    return Removal(exactly, backup, Path(known.key_file) if known and known.key_file else None)


def names_key_file(host: Host, file: Path, key_file: Path) -> bool:
    """Whether our entry in the file takes its key from there. A file that cannot be read is taken to."""
    try:
        server = entry_in(host, file)
    except ConfigurationError:
        return True
    return isinstance(server, LocalServer) and str(key_file) in server.environment.values()


def _main(host: Host) -> Addition:
    return host.possible_additions()[0]


def _new_text(host: Host) -> str:
    """What a new file says before our entry is in it: what the host wants at its head."""
    text = ""
    for name, value in host.head.items():
        text += f"{name}: {value}\n" if host.format == "yaml" else f'{{\n  "{name}": "{value}"\n}}\n'
    return text


def _is_as_written(text: str, inserted: Sequence[str]) -> bool:
    return bool(inserted) and all(text.count(piece) == 1 for piece in inserted)


def _missing(file: Path) -> list[Path]:
    """What has to be made for the file, innermost first."""
    return [path for path in (file, *file.parents) if not path.exists()]


def _take_away(created: Sequence[str]) -> None:
    """Remove what we made, as long as nothing else has come into it."""
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

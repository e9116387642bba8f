"""Our entry into a host's file, and out of it again."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.addition import Addition, UnreadableTextError, UnsuitableTextError
from contit_mcp.hosts.files import back_up, is_same_file, read_text, unreadable, unsuitable, write_text
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
        values: What they say, by section.
        ours: Whether what it takes the place of is as we wrote it, and so no loss.
    """

    host: Host
    file: Path
    change: Literal["new", "same", "replaced"]
    before: str | None
    after: str
    inserted: tuple[str, ...]
    values: Mapping[str, Any]
    ours: bool


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
    values = {one.section: one.value for one in additions}
    file_format = FORMATS[host.format]
    with _telling_of(file):
        document = file_format.read(text) if text is not None else None
        present = _main(host).find(document)
        ours = known is not None and present is not None and _is_as_written(host, document, known)
        if present is not None and all(one.find(document) == one.value for one in additions):
            return Plan(host, file, "same", text, text or "", inserted, values, ours)
        if present is not None and not force and not ours:
            raise ConfigurationError(
                f"{file} has an entry {additions[0].name} that was written or changed by hand.",
                hint="--force puts ours in its place; --print shows it and changes nothing.",
            )
        if text is None:
            if host.hides and (older := file.with_name(host.hides)).exists():
                raise ConfigurationError(
                    f"{host.title} reads {older} only as long as there is no {file}: a new one would hide it.",
                    hint=f"Turn the old file into {file.name} first, as {host.title} documents it, and try again.",
                )
            base = _new_text(host)
        else:
            base = without_additions(text, host.possible_additions(), file_format, inserted=inserted)
        spliced = with_additions(base, additions, file_format)
        if not _is_text(f"{file}{spliced.text}"):
            raise UnsuitableTextError("its path, or one in the entry, is not UTF-8 text")
    change: Literal["new", "replaced"] = "new" if present is None else "replaced"
    return Plan(host, file, change, text, spliced.text, spliced.inserted, values, ours)


def carry_out(plan: Plan, installs: Installs, *, key_file: Path | None = None) -> Path | None:
    """Write it. Returns the backup, where there was something to keep.

    Raises:
        ConfigurationError: It cannot be written, or the file has changed since.
    """
    if read_text(plan.file) != plan.before:
        raise ConfigurationError(f"{plan.file} was changed meanwhile, so it was left alone.", hint="Try again.")
    known = installs.of(plan.host.slug, plan.file)
    loses = plan.before is not None and plan.change != "same" and not plan.ours
    backup = back_up(plan.file) if loses else None
    key_files = (*(known.key_files if known else ()), *([str(key_file)] if key_file else ()))
    # First the memory: an entry that it does not know could only be taken out in the plain way.
    installs.remember(
        Install(
            host=plan.host.slug,
            file=str(plan.file),
            inserted=plan.inserted,
            values=plan.values,
            created=known.created if known and plan.before is not None else tuple(map(str, _missing(plan.file))),
            backup=(known.backup if known and plan.change != "new" else None) or (str(backup) if backup else None),
            key_files=tuple(dict.fromkeys(key_files)),
        )
    )
    if plan.change != "same":
        write_text(plan.file, plan.after)
    return backup


@dataclass(frozen=True, slots=True)
class Removal:
    """What was done.

    Attributes:
        found: Whether there was an entry.
        exactly: Whether the file is what it was before us, byte for byte: its backup says so, or it is gone again.
        backup: The backup that was kept, since it says something else.
        key_files: The files that the entry took the credential from.
    """

    found: bool
    exactly: bool
    backup: Path | None
    key_files: tuple[Path, ...]


def uninstall(host: Host, file: Path, installs: Installs) -> Removal:
    """Take our entry out.

    Raises:
        ConfigurationError: The file is broken, or the entry cannot be taken out safely.
    """
    text = read_text(file)
    known = installs.of(host.slug, file)
    key_files = tuple(map(Path, known.key_files)) if known else ()
    with _telling_of(file):
        if text is None or _main(host).find(FORMATS[host.format].read(text)) is None:
            installs.forget(host.slug, file)
            return Removal(found=False, exactly=False, backup=None, key_files=key_files)
        after = without_additions(
            text, host.possible_additions(), FORMATS[host.format], inserted=known.inserted if known else ()
        )
    created = known.created if known else ()
    backup = Path(known.backup) if known and known.backup else None
    # Without white space: after a change by hand there may be another.
    if os.path.realpath(file) in created and "".join(after.split()) in {"".join(_new_text(host).split()), "{}", ""}:
        _take_away(created)
        exactly = True
    else:
        write_text(file, after)
        exactly = backup is not None and read_text(backup) == after
        if backup is not None and exactly:
            backup.unlink()
    installs.forget(host.slug, file)
    left = backup if backup is not None and backup.exists() else None
    return Removal(found=True, exactly=exactly, backup=left, key_files=key_files)


def names_key_file(host: Host, file: Path, key_file: Path) -> bool:
    """Whether our entry in the file takes its key from there. A file that cannot be read is taken to."""
    try:
        server = entry_in(host, file)
    except ConfigurationError:
        return True
    named = server.environment.values() if isinstance(server, LocalServer) else ()
    return any(is_same_file(text, key_file) for text in named)


def _main(host: Host) -> Addition:
    return host.possible_additions()[0]


def _new_text(host: Host) -> str:
    """What a new file says before our entry is in it: what the host wants at its head."""
    text = ""
    for name, value in host.head.items():
        text += f"{name}: {value}\n" if host.format == "yaml" else f'{{\n  "{name}": "{value}"\n}}\n'
    return text


def _is_as_written(host: Host, document: object, known: Install) -> bool:
    """By what it says: some hosts write their file anew, in their own way, each time that they are used."""
    return all(one.find(document) in (None, known.values.get(one.section)) for one in host.possible_additions())


def _is_text(text: str) -> bool:
    """Whether it can be written. A path need not be text, and is read as half characters then."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _missing(file: Path) -> list[Path]:
    """What has to be made for the file, innermost first; a link that leads nowhere is not ours to take away."""
    target = Path(os.path.realpath(file))
    return [path for path in (target, *target.parents) if not path.exists()]


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
    except (ValueError, RecursionError):  # what the readers of formats stumble over: numbers and nesting out of bounds
        raise unreadable(file, UnreadableTextError(1, "somewhere in it is what cannot be read")) from None

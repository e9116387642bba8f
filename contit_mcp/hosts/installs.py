"""What we remember of our entries in hosts' files, so that they leave no trace when they are taken out."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from contit_mcp.hosts.files import write_secret

FILE_NAME = "host-entries.json"


@dataclass(frozen=True, slots=True)
class Install:
    """One entry that we wrote.

    Attributes:
        host: The host's slug.
        file: Its file.
        inserted: The pieces of text that went in.
        values: What they say, by section.
        created: The file and folders that were not there before, innermost first; links are followed.
        backup: The copy of the file as it was before.
        key_files: The files that the entry, and those it took the place of, take or took the credential from.
    """

    host: str
    file: str
    inserted: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    created: tuple[str, ...] = ()
    backup: str | None = None
    key_files: tuple[str, ...] = ()


_INSTALLS = TypeAdapter(list[Install])


class Installs:
    """All of them, in one file of the state folder."""

    def __init__(self, path: Path, known: Sequence[Install] = ()) -> None:
        self._path = path
        self._known = list(known)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them. What cannot be read is as good as forgotten: then entries are taken out in the plain way."""
        path = folder / FILE_NAME
        try:
            return cls(path, _INSTALLS.validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            return cls(path)

    def of(self, host: str, file: Path) -> Install | None:
        """What is remembered of a host's entry in a file, by whichever links that is reached."""
        return next((one for one in self._known if one.host == host and _same(one.file, file)), None)

    def files(self) -> list[tuple[str, Path]]:
        """Every host and file with an entry."""
        return [(one.host, Path(one.file)) for one in self._known]

    def remember(self, install: Install) -> None:
        """Keep it, in the place of what was known of the same file."""
        others = [one for one in self._known if one.host != install.host or not _same(one.file, install.file)]
        self._known = [*others, install]
        self._save()

    def forget(self, host: str, file: Path) -> None:
        """The entry is gone. Folders that were made for it and are still in use go with the last entry in them."""
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


def _same(one: str, other: str | Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)

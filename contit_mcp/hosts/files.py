"""A host's file on the disk: read as it is, and changed as a whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path

from contit_mcp.exceptions import ConfigurationError
from contit_mcp.hosts.addition import UnreadableTextError, UnsuitableTextError

BACKUP_SUFFIX = ".contit-mcp.bak"


def read_text(path: Path) -> str | None:
    """What the file says, with its byte order mark and line ends as they are; None if it is not there.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} is not UTF-8 text, so it was left alone.", hint="Save it as UTF-8 in an editor, and try again."
        ) from error
    except OSError as error:
        raise _unusable(path, "read", error) from error


def write_text(path: Path, text: str) -> None:
    """Write all of it, or nothing: beside the file first, then in its place. Its mode and a symbolic link stay.

    Raises:
        ConfigurationError: It cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
            os.replace(name, target)  # noqa: PTH105 - as Path.replace, in the words of the system call
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unusable(path, "written", error) from error


def write_secret(path: Path, text: str) -> None:
    """Write a file that nobody but this user can read, at no moment.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, path)  # noqa: PTH105 - likewise
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unusable(path, "written", error) from error


def back_up(path: Path) -> Path:
    """Copy the file, with its mode, to where a backup of it is.

    Raises:
        ConfigurationError: The copy cannot be written.
    """
    backup = backup_of(path)
    try:
        shutil.copy2(path, backup)
    except OSError as error:
        raise _unusable(backup, "written", error) from error
    return backup


def backup_of(path: Path) -> Path:
    """Where a backup of the file is."""
    return path.with_name(path.name + BACKUP_SUFFIX)


def unreadable(path: Path, error: UnreadableTextError) -> ConfigurationError:
    """The error for a file that is broken."""
    return ConfigurationError(
        f"{path}, line {error.line}: {error.problem}. The file was left alone.",
        hint="Mend it in an editor, or ask its host, and try again.",
    )


def unsuitable(path: Path, error: UnsuitableTextError) -> ConfigurationError:
    """The error for a file that has no place for us, or no safe way out."""
    return ConfigurationError(
        f"{path} was left alone: {error}.", hint="Edit it by hand; --print shows the entry, docs/hosts.md says more."
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unusable(path: Path, what: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be {what}: {error.strerror or 'unknown reason'}.",
        hint="Check that this user may do that; another path may be meant.",
    )

"""A host's file on the disk: read as it is, and changed as a whole or not at all."""

import contextlib
import errno
import itertools
import os
import tempfile
from pathlib import Path

from contit_mcp.errors import ConfigurationError
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
    """Write all of it, or nothing: beside the file first, then in its place. Its mode, owner and a link to it stay.

    Raises:
        ConfigurationError: It cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        kept = target.stat() if target.exists() else None
        if kept and not os.access(target, os.W_OK):  # replacing it would go round that
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            if kept and hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):  # only root can give files away
                    os.chown(name, kept.st_uid, kept.st_gid)
            Path(name).chmod(kept.st_mode & 0o7777 if kept else 0o666 & ~_umask())
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
    """Copy the file to where nothing is overwritten. Nobody else can read the copy, at no moment: it may hold keys.

    Raises:
        ConfigurationError: The copy cannot be written.
    """
    content = path.read_bytes()
    for number in itertools.count(1):
        backup = path.with_name(f"{path.name}.contit-mcp.{number}.bak" if number > 1 else path.name + BACKUP_SUFFIX)
        try:
            with open(backup, "xb", opener=_for_this_user_alone) as file:
                file.write(content)
        except FileExistsError:
            with contextlib.suppress(OSError):
                if backup.read_bytes() == content:
                    return backup
        except OSError as error:
            raise _unusable(backup, "written", error) from error
        else:
            return backup
    raise AssertionError  # pragma: no cover - there is always a next number


def is_same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two names are of one file, by whichever links; it need not be there. What is no name is of none."""
    try:
        return os.path.realpath(os.path.expanduser(one)) == os.path.realpath(os.path.expanduser(other))  # noqa: PTH111 - Path's raises for a user who is not there
    except ValueError:
        return False


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


def _for_this_user_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unusable(path: Path, what: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be {what}: {error.strerror or 'unknown reason'}.",
        hint="Check that this user may do that; another path may be meant.",
    )

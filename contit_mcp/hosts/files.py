"""A host's file on the disk, read as it is and changed as a whole or not at all; and the command that a host starts."""

import contextlib
import errno
import hashlib
import itertools
import os
import stat
import subprocess
from pathlib import Path

from contit_mcp.config.values import make_folder, write_whole
from contit_mcp.errors import ConfigurationError

BACKUP_SUFFIX = ".contit-mcp.bak"
_LARGEST = 64_000_000
"""Bytes of a host's file. Claude Code's own grows to megabytes."""

_CACHES = ({"archive-v0"}, {"builds-v0"}, {"environments-v2"}, {"pipx", ".cache"})
"""Folders that `uvx` and `pipx run` make for one run, and delete at any time."""


def read_text(path: Path) -> str | None:
    """Return the text of the file, with its byte order mark and line ends; None if it does not exist.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(_LARGEST + 1) if regular else b""
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, "read", error) from error
    if not regular:
        raise ConfigurationError(f"{path} is not a regular file.", hint="Check the path; another may be meant.")
    if len(content) > _LARGEST:
        raise ConfigurationError(f"{path} is larger than {_LARGEST:,} bytes.", hint="Check that it is the host's file.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} is not UTF-8 text, so it was left alone.", hint="Save it as UTF-8 in an editor, and try again."
        ) from error


def write_text(path: Path, text: str, *, in_project: bool = False) -> None:
    """Write all of it, or nothing. The mode and owner of the file, and a link to it, stay.

    Args:
        path: The file.
        text: What it will hold.
        in_project: Whether the file is a project's. Others may read a new one; a new file of the user's is private.

    Raises:
        ConfigurationError: It cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        kept = target.stat() if target.exists() else None
        if kept and not os.access(target, os.W_OK):  # replacing the file would get around its mode
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        make_folder(target.parent, mode=0o755 if in_project else 0o700)
        write_whole(target, text.encode(), mode=0o644 if in_project else 0o600)
        if kept and hasattr(os, "chown"):
            with contextlib.suppress(PermissionError):  # only root can give files away
                os.chown(target, kept.st_uid, kept.st_gid)
        if kept:
            target.chmod(kept.st_mode & 0o7777)
    except OSError as error:
        raise _unusable(path, "written", error) from error


def write_secret(path: Path, text: str) -> None:
    """Write a file that nobody but this user can read, at no moment.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        make_folder(path.parent)
        write_whole(path, text.encode())
    except OSError as error:
        raise _unusable(path, "written", error) from error


def back_up(path: Path, *, folder: Path | None = None) -> Path:
    """Copy the file without overwriting another. Nobody else can read the copy, at no moment: it may hold keys.

    Args:
        path: The file.
        folder: Where the copy goes; beside the file by default.

    Raises:
        ConfigurationError: The copy cannot be written.
    """
    content = path.read_bytes()
    name = path.name
    if folder is not None:  # files of several projects have one name
        name = f"{hashlib.sha256(os.path.realpath(path).encode(errors='surrogateescape')).hexdigest()[:12]}-{name}"
    for number in itertools.count(1):
        backup = (folder or path.parent) / f"{name}{f'.contit-mcp.{number}.bak' if number > 1 else BACKUP_SUFFIX}"
        try:
            make_folder(backup.parent)
            with open(backup, "xb", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
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
    """Whether two names are of one file, by any links; it need not exist. A text that is no path names no file."""
    try:
        return os.path.realpath(os.path.expanduser(one)) == os.path.realpath(os.path.expanduser(other))  # noqa: PTH111 - Path's raises for an unknown user
    except ValueError:
        return False


def refuse_way_out(file: Path, project: Path) -> None:
    """Refuse a file of a project whose path leaves the project by a link: a repository could point anywhere.

    Raises:
        ConfigurationError: It does, be the file there or not.
    """
    target = Path(os.path.realpath(file))
    if not target.is_relative_to(os.path.realpath(project)):
        raise ConfigurationError(
            f"{file} leads out of the project, to {target}; it was left alone.",
            hint="Replace the link by a file or folder of its own, or leave --scope project out.",
        )


def own_command(argv0: str, executable: str) -> tuple[str, tuple[str, ...]]:
    """Return the full path of the command that started us, and the arguments before the subcommand.

    A link (as pipx makes one) is named as it is: its target may move with the next version.

    Args:
        argv0: `sys.argv[0]`.
        executable: `sys.executable`.

    Raises:
        ConfigurationError: We run from a cache that may be emptied at any time, or are not installed.
    """
    if any(cache <= set(Path(executable).parts) for cache in _CACHES):
        raise ConfigurationError(
            "This contit-mcp runs from a cache, which may be emptied at any time; a host could not rely on it.",
            hint="Install it to stay, with `uv tool install` or `pipx install`, and run contit-mcp install again.",
        )
    name = "contit-mcp.exe" if os.name == "nt" else "contit-mcp"
    started = Path(os.path.abspath(argv0))  # noqa: PTH100 - Path.resolve would follow links
    for script in (started, started.with_name(name), Path(executable).with_name(name)):
        if script.name == name and script.is_file():
            return str(script), ()
    if not _knows_us(executable):
        raise ConfigurationError(
            "This contit-mcp is not installed: a host would not find it from another folder.",
            hint="Install it, with pip, `uv tool install` or `pipx install`, and run contit-mcp install again.",
        )
    return executable, ("-P", "-m", "contit_mcp")  # -P: nothing is imported from the host's current folder


def _knows_us(executable: str) -> bool:
    """Whether this Python finds the package by itself, not by the current folder or a variable of this shell."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [executable, "-P", "-c", "import contit_mcp"]
    done = subprocess.run(command, cwd=os.sep, env=given, check=False, capture_output=True)  # noqa: S603 - it runs us
    return done.returncode == 0


def _without_waiting(path: str, flags: int) -> int:
    """Open a pipe that nobody writes to without waiting for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _unusable(path: Path, what: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be {what}: {error.strerror or 'unknown reason'}.",
        hint="Check that this user may do that; another path may be meant.",
    )

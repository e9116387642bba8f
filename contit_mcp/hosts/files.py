"""A host's file on the disk, which is written whole or not at all; and the command that a host starts."""

import contextlib
import errno
import itertools
import os
import secrets
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from contit_mcp.errors import ConfigurationError

_LARGEST_BYTES = 64_000_000  # Claude Code's own file grows to megabytes
_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)
# Folders that `uvx` and `pipx run` make for one run, and delete at any time.
_CACHES = ({"archive-v0"}, {"builds-v0"}, {"environments-v2"}, {"pipx", ".cache"})


def read_text(path: Path) -> str | None:
    """Return the text of the file, with its byte order mark and line ends; None if it does not exist."""
    with _errors_about(path, "read"), contextlib.suppress(FileNotFoundError):
        # A pipe that nobody writes to is opened without waiting for a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _WITHOUT_WAITING)) as file:
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(_LARGEST_BYTES + 1) if is_regular else b""
        if not is_regular or len(content) > _LARGEST_BYTES:
            raise OSError(errno.EINVAL, f"it is not a regular file of at most {_LARGEST_BYTES:,} bytes")
        return content.decode()
    return None


def write_text(path: Path, text: str, *, mode: int = 0o600, keep: bool = True) -> None:
    """Write all of it, or nothing. A link stays a link; with `keep` an existing file keeps its mode and owner."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}")
    with _errors_about(path, "written"):
        kept = target.stat() if keep and target.exists() else None
        if kept and not os.access(target, os.W_OK):  # replacing the file would get around its mode
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _make_folder(target.parent, mode=0o700 if mode == 0o600 else 0o755)
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)  # noqa: PTH105 - one step on every system
        finally:
            temporary.unlink(missing_ok=True)
        if kept and hasattr(os, "chown"):
            with contextlib.suppress(PermissionError):  # only root can give files away
                os.chown(target, kept.st_uid, kept.st_gid)
        if kept:
            target.chmod(kept.st_mode & 0o7777)


def back_up(path: Path, folder: Path) -> Path:
    """Copy the file into the folder without overwriting another; return the copy, which this user alone can read."""
    with _errors_about(folder, "written"):
        _make_folder(folder)
        names = (f"{path.name}.contit-mcp{f'.{number}' if number > 1 else ''}.bak" for number in itertools.count(1))
        backup = next(folder / name for name in names if not os.path.lexists(folder / name))
        with open(backup, "xb", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(path.read_bytes())
    return backup


def _make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make the folder and those above it that are missing, each with the mode, which `parents=True` would not do."""
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(mode=mode, exist_ok=True)


def own_command(argv0: str, executable: str) -> tuple[str, ...]:
    """Return the command that started us, by `sys.argv[0]` and `sys.executable`, without the subcommand."""
    if any(cache <= set(Path(executable).parts) for cache in _CACHES):
        raise ConfigurationError(
            "This contit-mcp runs from a cache, which may be emptied at any time; a host could not rely on it.",
            hint="Install it to stay, with `uv tool install` or `pipx install`, and run contit-mcp install again.",
        )
    name = "contit-mcp.exe" if os.name == "nt" else "contit-mcp"
    started = Path(os.path.abspath(argv0))  # noqa: PTH100 - a link is named as it is, since its target may move
    for script in (started, started.with_name(name), Path(executable).with_name(name)):
        if script.name == name and script.is_file():
            return (str(script),)
    # Check that this Python finds the package by itself, not by the current folder or a variable of this shell.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [executable, "-P", "-c", "import contit_mcp"]
    if subprocess.run(command, cwd=os.sep, env=variables, check=False, capture_output=True).returncode:  # noqa: S603 - it runs us
        raise ConfigurationError(
            "This contit-mcp is not installed: a host would not find it from another folder.",
            hint="Install it, with pip, `uv tool install` or `pipx install`, and run contit-mcp install again.",
        )
    return executable, "-P", "-m", "contit_mcp"  # -P: nothing is imported from the host's current folder


@contextlib.contextmanager
def _errors_about(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", "it is not UTF-8 text") or "unknown reason"
        hint = "Check the path, and that this user may do that."
        if isinstance(error, UnicodeDecodeError):
            hint = "Save it as UTF-8 in an editor."
        raise ConfigurationError(f"{path} cannot be {what}: {problem}.", hint=hint) from error

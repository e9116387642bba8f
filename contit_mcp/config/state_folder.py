"""The user's state folder, where this program keeps what should outlive it, and how files are written there."""

import contextlib
import os
import secrets
from pathlib import Path

import platformdirs

from contit_mcp.errors import ConfigurationError

_NAME = "contit-mcp"
_HINT = "Set CONTIT_MCP_STATE_DIR to a folder that this user may write to."


def state_folder(configured: Path | None = None) -> Path:
    """Return the configured folder, or the operating system's place for such files. It need not exist.

    A user without a home folder has no place of their own. The path returned then lies below a file, so that it can
    never be made: the run store falls back to memory, and whatever must write reports it.
    """
    if configured is not None:
        return configured
    try:
        folder = platformdirs.user_state_path(_NAME, appauthor=False)
    except RuntimeError:  # there is no home
        folder = Path("~")
    if not folder.is_absolute():  # XDG_STATE_HOME is relative, which XDG says to ignore, or there is no home
        folder = Path(os.path.expanduser("~")) / ".local" / "state" / _NAME  # noqa: PTH111 - Path's raises without a home
    return folder if folder.is_absolute() else Path(os.devnull) / "no-home-folder" / _NAME


def usable_state_folder(configured: Path | None = None) -> Path:
    """Return the state folder, made for this user alone if it did not exist, and writable.

    Raises:
        ConfigurationError: It cannot be made or written.
    """
    folder = state_folder(configured)
    try:
        make_folder(folder)
    except OSError as exc:
        raise _unusable(folder, "be made", exc.strerror or "unknown reason") from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, "be written", "no permission")
    return folder


def expanded(path: Path) -> Path:
    """Return the path with `~` replaced by the home folder.

    Raises:
        ValueError: There is no such user, or no home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with a home folder that does not exist") from None


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make the folder and those above it that are missing, each with the mode, whatever the umask allows beyond it.

    Raises:
        OSError: It cannot be made, or something else has its name.
    """
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(mode=mode, exist_ok=True)


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write all of a file or nothing: beside it first, then in its place. Nobody beyond the mode can read it meanwhile.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - one step on every system
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _unusable(folder: Path, what: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"The state folder {folder} cannot {what}: {reason}.", hint=_HINT)

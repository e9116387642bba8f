"""The user's state folder, where this program keeps what should outlive it."""

import os
from pathlib import Path

import platformdirs

from contit_mcp.errors import ConfigurationError


def state_folder(configured: Path | None = None) -> Path:
    """Where it is: as configured, or where this operating system keeps such things. It need not exist yet."""
    return configured or platformdirs.user_state_path("contit-mcp", appauthor=False)


def usable_state_folder(configured: Path | None = None) -> Path:
    """The state folder, made for this user alone if it was not there, and writable.

    Raises:
        ConfigurationError: It cannot be made or written.
    """
    folder = state_folder(configured)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise _unusable(folder, "be made", exc.strerror or "unknown reason") from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, "be written", "no permission")
    return folder


def _unusable(folder: Path, what: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The state folder {folder} cannot {what}: {reason}.",
        hint="Set CONTIT_MCP_STATE_DIR to a folder of this user's.",
    )

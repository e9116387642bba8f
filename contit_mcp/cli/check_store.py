"""Whether runs can be remembered where the settings say."""

import contextlib
import tempfile
from pathlib import Path

from contit_mcp.cli.findings import Finding, failed
from contit_mcp.config.settings import Settings
from contit_mcp.config.settings_store import StoreLocation
from contit_mcp.config.state_folder import state_folder
from contit_mcp.errors import ConfigurationError, StoreError
from contit_mcp.runs.opening import bare_store

_SUBJECT = "Runs are remembered in"


async def check_store(settings: Settings) -> Finding:
    """Say where, and whether it can be used. A store that can be asked itself is asked here."""
    try:
        location = settings.store_location()
    except ConfigurationError as error:
        return failed(_SUBJECT, error)
    folder = state_folder(settings.state_dir)
    match location.kind:
        case "memory":
            return Finding(_SUBJECT, "memory, so only until the process ends", good=True)
        case "redis":
            return await _ask(location, folder)
        case "sqlite" if location.path is None:
            from contit_mcp.runs.sqlite import FILE_NAME  # noqa: PLC0415 - start-up time

            file = folder / FILE_NAME
            return _look_at(file) if file.exists() else _folder_finding(folder)
        case _:
            file = location.path or folder
            return _look_at(file) if file.is_file() else _file_finding(file)


def _look_at(file: Path) -> Finding:
    from contit_mcp.runs.sqlite import inspect_file  # noqa: PLC0415 - start-up time

    try:
        inspect_file(file)
    except StoreError as error:
        return Finding(_SUBJECT, f"{file}. {error.message}", good=False, hint=error.hint)
    return Finding(_SUBJECT, str(file), good=True)


def _folder_finding(folder: Path) -> Finding:
    if problem := _folder_problem(folder):
        hint = "Set CONTIT_MCP_STATE_DIR to a folder of this user's, or CONTIT_MCP_STORE to memory."
        return Finding(_SUBJECT, f"the state folder {folder}, which {problem}", good=False, hint=hint)
    return Finding(_SUBJECT, f"the state folder {folder}", good=True)


async def _ask(location: StoreLocation, folder: Path) -> Finding:
    """Look for a run that nobody ever asked for, in the store that is configured."""
    try:
        store = bare_store(location, folder=folder)
    except ConfigurationError as error:
        return failed(_SUBJECT, error)
    try:
        await store.latest("contit-mcp-check", "contit-mcp-check")
    except StoreError as error:
        return Finding(_SUBJECT, f"{location.name}. {error.message}", good=False, hint=error.hint)
    finally:
        with contextlib.suppress(StoreError):  # what it was asked has been told already
            await store.aclose()
    return Finding(_SUBJECT, location.name, good=True)


def _file_finding(file: Path) -> Finding:
    hint = "Name a file in a folder of this user's with CONTIT_MCP_STORE=sqlite:PATH."
    problem = _file_problem(file) if file.exists() else _folder_problem(file.parent)
    if problem:
        what = f"{file}, which {problem}" if file.exists() else f"{file}, whose folder {problem}"
        return Finding(_SUBJECT, what, good=False, hint=hint)
    return Finding(_SUBJECT, str(file), good=True)


def _file_problem(file: Path) -> str | None:
    try:
        with file.open("r+b"):
            return None
    except OSError as exc:
        return f"cannot be written: {exc.strerror or 'unknown reason'}"


def _folder_problem(folder: Path) -> str | None:
    """Why files cannot be made there; of a folder that is not there yet, why it could not be made."""
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        # Tried, since permissions alone do not tell of read-only disks; nothing is left behind.
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as exc:
        missing = "" if folder.exists() else "is not there and "
        return f"{missing}cannot be written: {exc.strerror or 'unknown reason'}"

"""The store that is configured. Each is imported when it is chosen: a host waits for our start."""

from collections.abc import Callable
from pathlib import Path

from contit_mcp.config.settings_store import StoreLocation
from contit_mcp.errors import ConfigurationError
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.resilient import ResilientRunStore
from contit_mcp.runs.store import RetentionPolicy, RunStore


def open_store(
    location: StoreLocation,
    *,
    folder: Path,
    retention: RetentionPolicy | None = None,
    closing: Callable[[], bool] = lambda: False,
) -> RunStore:
    """A store for the whole life of a process; nothing is opened before it is first used.

    Args:
        location: What kind, and where.
        folder: The state folder, for a SQLite file without a path of its own.
        retention: How long runs and answers are kept.
        closing: Whether the process is leaving, and has no time for a store that restarts.

    Raises:
        ConfigurationError: The package for Redis is not installed, or the URL cannot be used.
    """
    spare = MemoryRunStore(retention=retention)
    if location.kind == "memory":
        return spare
    store = bare_store(location, folder=folder, retention=retention)
    # The thread of a SQLite file does together what waits for it.
    return ResilientRunStore(store, spare, at_once=100 if location.kind == "sqlite" else 40, closing=closing)


def bare_store(location: StoreLocation, *, folder: Path, retention: RetentionPolicy | None = None) -> RunStore:
    """The store alone, which fails where it cannot be used; for `contit-mcp check`.

    Raises:
        ConfigurationError: As `open_store`.
    """
    match location.kind:
        case "memory":
            return MemoryRunStore(retention=retention)
        case "sqlite":
            from contit_mcp.runs.sqlite import SqliteRunStore  # noqa: PLC0415 - start-up time
            from contit_mcp.runs.sqlite_file import FILE_NAME  # noqa: PLC0415

            if location.path is not None:
                return SqliteRunStore(location.path, retention=retention)
            return SqliteRunStore(folder / FILE_NAME, retention=retention, expendable=True)
        case "redis":
            try:
                from contit_mcp.runs.redis import RedisRunStore  # noqa: PLC0415 - optional, and start-up time
            except ImportError as exc:
                raise ConfigurationError(
                    "The store is Redis, and the package redis is not installed.",
                    hint="Install contit-mcp with its extra: contit-mcp[redis].",
                ) from exc
            return RedisRunStore(location.url, retention=retention)

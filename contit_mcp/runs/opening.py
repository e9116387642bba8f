"""Open the configured run store."""

import importlib
from pathlib import Path

from contit_mcp.config.values import StoreLocation
from contit_mcp.errors import ConfigurationError
from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.store import NULL_STORE_LISTENER, RetentionPolicy, RunStore, StoreListener


def open_store(
    location: StoreLocation,
    *,
    folder: Path,
    retention: RetentionPolicy | None = None,
    listener: StoreListener = NULL_STORE_LISTENER,
) -> RunStore:
    """Return a store for the whole life of a process. Files and connections are opened when it is first used.

    Args:
        location: Its kind and place.
        folder: The state folder, for a SQLite file without a path of its own.
        retention: How long runs and answers are kept.
        listener: Receives each operation, and each change between usable and unusable.

    Raises:
        ConfigurationError: The package for Redis is not installed, or the URL cannot be used.
    """
    memory = MemoryRunStore(retention=retention)
    if location.kind == "memory":
        return memory
    store = bare_store(location, folder=folder, retention=retention)
    return FallbackRunStore(store, memory, listener=listener)


def bare_store(location: StoreLocation, *, folder: Path, retention: RetentionPolicy | None = None) -> RunStore:
    """Return the store without the fallback: it fails if it cannot be used. For `contit-mcp check`.

    Raises:
        ConfigurationError: As `open_store`.
    """
    match location.kind:
        case "memory":
            return MemoryRunStore(retention=retention)
        case "sqlite":
            from contit_mcp.runs.sqlite import FILE_NAME, SqliteRunStore  # noqa: PLC0415 - start-up time

            path, expendable = location.path or folder / FILE_NAME, location.path is None
            return SqliteRunStore(path, retention=retention, expendable=expendable)
        case "redis":
            try:
                from contit_mcp.runs.redis import RedisRunStore  # noqa: PLC0415 - optional, and start-up time
            except ImportError as exc:
                raise ConfigurationError(
                    "CONTIT_MCP_STORE names a Redis server, and the package redis is not installed.",
                    hint="Install contit-mcp with its extra: contit-mcp[redis].",
                ) from exc
            return RedisRunStore(location.url, retention=retention)


def schema_version(location: StoreLocation) -> int | None:
    """Return the version of the schema in which runs are kept; None in memory."""
    if location.kind == "memory":
        return None
    version: int = importlib.import_module(f"contit_mcp.runs.{location.kind}").SCHEMA_VERSION
    return version

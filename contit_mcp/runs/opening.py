"""Open the configured run store."""

from pathlib import Path

from contit_mcp.config.values import StoreLocation
from contit_mcp.errors import ConfigurationError
from contit_mcp.runs.fallback import FallbackRunStore
from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.store import RetentionPolicy, RunStore
from contit_mcp.telemetry.call_stats import Listener


def open_store(location: StoreLocation, *, folder: Path, retention: RetentionPolicy, listener: Listener) -> RunStore:
    """Return a store for the life of a process. Files, by default in `folder`, are opened when it is first used."""
    memory = MemoryRunStore(retention=retention)
    if location.kind == "memory":
        return memory
    return FallbackRunStore(bare_store(location, folder=folder, retention=retention), memory, listener=listener)


def bare_store(location: StoreLocation, *, folder: Path, retention: RetentionPolicy | None = None) -> RunStore:
    """Return a store in a file or on a server, without the fallback: its methods raise `StoreError`."""
    if location.kind == "sqlite":
        from contit_mcp.runs.sqlite import FILE_NAME, SqliteRunStore  # noqa: PLC0415 - start-up time

        path, expendable = location.path or folder / FILE_NAME, location.path is None
        return SqliteRunStore(path, retention=retention, expendable=expendable)
    try:
        from contit_mcp.runs.redis import RedisRunStore  # noqa: PLC0415 - optional, and start-up time
    except ImportError as exc:
        raise ConfigurationError(
            "CONTIT_MCP_STORE names a Redis server, and the package redis is not installed.",
            hint="Install it in the folder of the clone: pip install '.[redis]'",
        ) from exc
    return RedisRunStore(location.url, retention=retention)

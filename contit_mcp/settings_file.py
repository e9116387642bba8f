"""The settings file, TOML."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contit_mcp.exceptions import ConfigurationError
from contit_mcp.settings_names import is_unset, nearest, unknown_name


def read_settings_file(file: Path, *, known: Mapping[str, str]) -> dict[str, Any]:
    """Read the file; blank values and unfilled placeholders are left out.

    Args:
        file: A TOML file with our settings as plain keys.
        known: Field names and the names that users know them by.

    Raises:
        ConfigurationError: It cannot be read or parsed, or holds an unknown key.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or "not UTF-8 text"
        raise ConfigurationError(
            f"The settings file {file} cannot be read: {reason}.", hint="Check the path given with --config."
        ) from exc
    except tomllib.TOMLDecodeError as exc:
        # The parser says where, and quotes at most one character.
        raise ConfigurationError(
            f"The settings file {file} is not valid TOML: {exc}.",
            hint="configs/contit-mcp.toml shows how it looks.",
        ) from exc
    for key in values:
        if key not in known:
            raise unknown_name(f"{key} (in {file})", nearest(key, known))
    return {key: value for key, value in values.items() if not (isinstance(value, str) and is_unset(value))}

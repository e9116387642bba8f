"""The settings file, TOML."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contit_mcp.config.settings_names import nearest, unknown_name, without_unset
from contit_mcp.errors import ConfigurationError


def read_settings_file(file: Path, *, known: Mapping[str, str]) -> dict[str, Any]:
    """Read the file; blank values and unfilled placeholders are left out.

    Args:
        file: A TOML file with our settings as plain keys.
        known: Field names and the names that users know them by.

    Raises:
        ConfigurationError: It cannot be read or parsed, or holds an unknown key.
    """
    # Errors about the content are not chained: they carry it along, and it may hold a secret.
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise _unreadable(file, exc.strerror or "unknown reason") from exc
    except tomllib.TOMLDecodeError as exc:
        place = _PLACE.search(str(exc))
        problem = _invalid(file, f" at {place[1]}" if place else "")
    except UnicodeDecodeError:
        problem = _unreadable(file, "not UTF-8 text")
    except ValueError:
        problem = _unreadable(file, "not a path")
    else:
        for key in values:
            if key not in known:
                raise unknown_name(f"{key} (in {file})", nearest(key, known))
        return without_unset(values)
    raise problem


_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")
"""How tomllib ends its messages; what stands before can quote the file."""


def _unreadable(file: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The settings file {file} cannot be read: {reason}.",
        hint="Check the path given with --config or CONTIT_MCP_CONFIG.",
    )


def _invalid(file: Path, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"The settings file {file} is not valid TOML{where}.", hint="configs/contit-mcp.toml shows how it looks."
    )

"""Writes docs/settings.md and configs/contit-mcp.toml from the settings; with --check it names a stale file."""

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from contit_mcp.config.settings import HttpSettings, Settings

ROOT = Path(__file__).parents[2]
HEAD = """\
# Settings

The command line overrides the environment, which overrides the file (`--config`, or `CONTIT_MCP_CONFIG` in the
environment), which overrides the default. A blank value, or a placeholder that a host did not replace (`${…}`), means
"not set". A variable `CONTIT_MCP_…` or a key that is not listed here is an error, which names the nearest setting.

This page is generated from the settings (`make docs`).
"""
PARTS = (
    (
        "Contit, and every way to serve",
        [name for name in Settings.model_fields if name not in HttpSettings.model_fields],
    ),
    ("The HTTP server", list(HttpSettings.model_fields)),
)


def default_of(field: FieldInfo) -> Any:
    """Return the default as a user writes it."""
    if isinstance(field.default, SecretStr):
        return field.default.get_secret_value()
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return "" if field.default is None else field.default


def page() -> str:
    """Return the page."""
    rows = []
    for title, names in PARTS:
        rows.append(f"\n## {title}\n\n| environment | file | default | meaning |\n|---|---|---|---|\n")
        for name in names:
            field = Settings.model_fields[name]
            default = "" if default_of(field) == "" else f"`{default_of(field)}`"
            rows.append(f"| `{field.alias}` | `{name}` | {default} | {field.description} |\n")
    return HEAD + "".join(rows)


def example() -> str:
    """Return the settings file, with every key commented out at its default."""
    parts = ["# Settings, for --config or CONTIT_MCP_CONFIG. Each key shows its default; uncomment what you change.\n"]
    for title, names in PARTS:
        parts.append(f"\n# --- {title}\n")
        for name in names:
            field = Settings.model_fields[name]
            default = default_of(field)
            value = f'"{default}"' if isinstance(field.default, str | SecretStr | None) else default
            parts.append(f"\n# {field.description}\n# {name} = {value}\n")
    return "".join(parts)


if __name__ == "__main__":
    for path, text in ((ROOT / "docs/settings.md", page()), (ROOT / "configs/contit-mcp.toml", example())):
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.relative_to(ROOT)} is stale: make docs")

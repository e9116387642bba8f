"""Writes docs/settings.md and configs/contit-mcp.toml from the settings; with --check it only says what is stale."""

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from contit_mcp.settings import Settings

ROOT = Path(__file__).parents[2]
HEAD = """\
# Settings

Command line over environment over file (`--config contit-mcp.toml`) over default. A blank value, or a placeholder that
a host did not fill in (`${…}`), means "not set". A name that is none of these is an error with the nearest one.

This page is generated from the settings themselves (`make docs`).

| environment | file | default | meaning |
|---|---|---|---|
"""


def default_of(field: FieldInfo) -> Any:
    """The default as its user would write it."""
    if isinstance(field.default, SecretStr):
        return field.default.get_secret_value()
    return "" if field.default is None else field.default


def page() -> str:
    """The page as it should be."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = f"`{default_of(field)}`" if field.default is not None else ""
        rows.append(f"| `{field.alias}` | `{name}` | {default} | {field.description} |\n")
    return HEAD + "".join(rows)


def example() -> str:
    """The settings file with every key commented out, at its default."""
    parts = ["# Settings of contit-mcp, for --config. Each key stands at its default; docs/settings.md says more.\n"]
    for name, field in Settings.model_fields.items():
        default = default_of(field)
        value = f'"{default}"' if isinstance(default, str) else default
        parts.append(f"\n# {field.description}\n# {name} = {value}\n")
    return "".join(parts)


if __name__ == "__main__":
    for path, text in ((ROOT / "docs/settings.md", page()), (ROOT / "configs/contit-mcp.toml", example())):
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.relative_to(ROOT)} is stale: make docs")

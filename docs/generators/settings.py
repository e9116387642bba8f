"""Writes docs/settings.md from the settings themselves; with --check it only says whether that page is stale."""

import sys
from pathlib import Path

from contit_mcp.settings import Settings

PAGE = Path(__file__).parents[1] / "settings.md"
HEAD = """\
# Settings

Command line over environment over file (`--config contit-mcp.toml`) over default. A blank value, or a placeholder that
a host did not fill in (`${…}`), means "not set". A name that is none of these is an error with the nearest one.

This page is generated from the settings themselves (`make docs`).

| environment | file | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The page as it should be."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{field.alias}` | `{name}` | {default} | {field.description} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/settings.md is stale: make docs")

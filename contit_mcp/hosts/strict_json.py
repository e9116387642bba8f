"""Hosts that read JSON to the letter: a comment, or one comma too many, keeps them from all their servers."""

import json
from pathlib import Path

from contit_mcp.hosts.files import read_text
from contit_mcp.hosts.host import Host


def strictly_wrong(host: Host, file: Path) -> str | None:
    """Why a host that reads JSON to the letter cannot read its file, of one that can be read here."""
    text = read_text(file)
    if not host.strict or text is None:
        return None
    try:
        json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        return f"{host.title} reads no comments and no comma before a closing bracket; one is at line {line}"
    return None

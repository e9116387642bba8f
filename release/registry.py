"""The entry for the MCP registry: `python -m release.registry` writes server.json.

The places to get the package are true only after an upload, so a release adds them to dist/server.json:

    python -m release.registry --pypi                                  the wheel is on the Python package index
    python -m release.registry --bundle-url https://…/contit-mcp.mcpb  the bundle in dist/ is at that address
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from contit_mcp.config.settings import Settings, UpstreamSettings
from contit_mcp.server.server import WEBSITE
from release.project import BUNDLE, DIST, NAME, PROJECT, ROOT, VERSION, write_checksums

SERVER_NAME = "cloud.contit/contit-mcp"
"""The first half is a reversed domain, whose owner publishes. The README has the name too: the registry looks there."""

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
SERVER_JSON = ROOT / "server.json"


def entry(*packages: dict[str, Any]) -> str:
    """Return the registry's entry as JSON text, with the packages that have been uploaded."""
    server = {
        "$schema": SCHEMA,
        "name": SERVER_NAME,
        "title": "Contit Assistant",
        "description": PROJECT["description"],
        "version": VERSION,
        "websiteUrl": WEBSITE,
    }
    if repository := PROJECT.get("urls", {}).get("Repository"):
        server["repository"] = {"url": repository, "source": "gitlab" if "gitlab" in repository else "github"}
    if packages:
        server["packages"] = packages
    return json.dumps(server, indent=2, ensure_ascii=False) + "\n"


def python_package() -> dict[str, Any]:
    """Return the wheel on the Python package index, with the variables that a host asks its user for."""
    fields = [Settings.model_fields[name] for name in (*UpstreamSettings.model_fields, "wait_seconds", "log_level")]
    return {
        "registryType": "pypi",
        "identifier": NAME,
        "version": VERSION,
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "packageArguments": [{"type": "positional", "value": "stdio"}],
        "environmentVariables": [
            {
                "name": field.alias,
                "description": field.description,
                "isRequired": False,
                "isSecret": "SecretStr" in str(field.annotation),
            }
            for field in fields
        ],
    }


def bundle_package(bundle: Path, url: str) -> dict[str, Any]:
    """Return the bundle at the address of a release, with the checksum that hosts compare.

    Raises:
        click.UsageError: The registry does not take bundles from there.
    """
    if not re.fullmatch(r"https://(github|gitlab)\.com/\S+/releases/\S+\.mcpb", url):
        raise click.UsageError(f"{url} is no release on GitHub or GitLab; the registry takes bundles from those only.")
    return {
        "registryType": "mcpb",
        "identifier": url,
        "fileSha256": hashlib.sha256(bundle.read_bytes()).hexdigest(),
        "transport": {"type": "stdio"},
    }


@click.command()
@click.option("--check", is_flag=True, help="Write nothing, and fail if server.json is stale.")
@click.option("--pypi", is_flag=True, help="The wheel is on the Python package index.")
@click.option("--bundle-url", help="The address to which the bundle in dist/ has been uploaded.")
def main(*, check: bool, pypi: bool, bundle_url: str | None) -> None:
    """Write server.json; or, with what has been uploaded, the dist/server.json that is to be published."""
    if check:
        sys.exit(None if SERVER_JSON.read_text(encoding="utf-8") == entry() else "server.json is stale: make docs")
    packages = [python_package()] if pypi else []
    if bundle_url:
        packages.append(bundle_package(BUNDLE, bundle_url))
    if not packages:
        SERVER_JSON.write_text(entry(), encoding="utf-8")
        return
    (DIST / "server.json").write_text(entry(*packages), encoding="utf-8")
    write_checksums()


if __name__ == "__main__":
    main()

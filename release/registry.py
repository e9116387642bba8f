"""The entry for the MCP registry: `python -m release.registry` writes server.json.

Facts that hold at any time are in server.json. The places to get the package hold only once it has been
uploaded; that is added to dist/server.json when a release is published:

    python -m release.registry --pypi                                  the wheel is on the Python package index
    python -m release.registry --bundle-url https://…/contit-mcp.mcpb  the bundle in dist/ is at that address
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from contit_mcp.config.settings import Settings, UpstreamSettings
from contit_mcp.server.server import WEBSITE
from release.project import BUNDLE, DIST, NAME, PROJECT, ROOT, VERSION, write_checksums

SERVER_NAME = "cloud.contit/contit-mcp"
"""The first half is a domain whose owner publishes; the README says the same name, for the registry to find it."""

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
SERVER_JSON = ROOT / "server.json"
OFFERED = (*UpstreamSettings.model_fields, "wait_seconds", "log_level")
"""The settings that a host asks its user for: what says where Contit is, and two that matter on one's own machine."""


def entry(*packages: dict[str, Any]) -> dict[str, Any]:
    """The registry's entry, with the packages that have been uploaded."""
    server: dict[str, Any] = {
        "$schema": SCHEMA,
        "name": SERVER_NAME,
        "title": "Contit Assistant",
        "description": PROJECT["description"],
        "version": VERSION,
        "websiteUrl": WEBSITE,
    }
    if repository := PROJECT.get("urls", {}).get("Repository"):
        source = "gitlab" if "gitlab" in repository else "github"
        server["repository"] = {"url": repository, "source": source}
    return server | ({"packages": list(packages)} if packages else {})


def python_package() -> dict[str, Any]:
    """The wheel on the Python package index."""
    return {
        "registryType": "pypi",
        "identifier": NAME,
        "version": VERSION,
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "packageArguments": [{"type": "positional", "value": "stdio"}],
        "environmentVariables": [_variable(Settings.model_fields[name]) for name in OFFERED],
    }


def bundle_package(bundle: Path, url: str) -> dict[str, Any]:
    """The bundle at the address of a release, with the checksum that hosts hold it against.

    Raises:
        ValueError: The registry does not take bundles from there.
    """
    if not re.fullmatch(r"https://(github|gitlab)\.com/\S+\.mcpb", url) or "/releases/" not in url:
        raise ValueError(f"{url} is no release on GitHub or GitLab, the only places the registry takes bundles from.")
    return {
        "registryType": "mcpb",
        "identifier": url,
        "fileSha256": hashlib.sha256(bundle.read_bytes()).hexdigest(),
        "transport": {"type": "stdio"},
    }


def written(server: dict[str, Any]) -> str:
    """The entry as text."""
    return json.dumps(server, indent=2, ensure_ascii=False) + "\n"


def _variable(field: FieldInfo) -> dict[str, Any]:
    variable: dict[str, Any] = {"name": field.alias, "description": field.description, "isRequired": False}
    kinds = _kinds(field.annotation)
    if SecretStr in kinds:
        variable["isSecret"] = True
    elif Path in kinds:
        variable["format"] = "filepath"
    elif float in kinds:
        variable["format"] = "number"
    if get_origin(field.annotation) is Literal:
        variable["choices"] = list(get_args(field.annotation))
    if field.default is not None:
        variable["default"] = str(field.default)
    return variable


def _kinds(annotation: Any) -> set[Any]:
    """The types that an annotation is made of."""
    return {annotation}.union(*(_kinds(part) for part in get_args(annotation)))


@click.command()
@click.option("--check", is_flag=True, help="Only fail when server.json is stale.")
@click.option("--pypi", is_flag=True, help="The wheel is on the Python package index.")
@click.option("--bundle-url", help="Where the bundle in dist/ has been uploaded.")
def main(*, check: bool, pypi: bool, bundle_url: str | None) -> None:
    """Write server.json; or, with what has been uploaded, the dist/server.json that is to be published."""
    if check:
        if SERVER_JSON.read_text(encoding="utf-8") != written(entry()):
            sys.exit("server.json is stale: make docs")
        return
    packages = [python_package()] if pypi else []
    if bundle_url:
        if not BUNDLE.exists():
            raise click.ClickException(f"{BUNDLE.relative_to(ROOT)} is not there: make bundle")
        try:
            packages.append(bundle_package(BUNDLE, bundle_url))
        except ValueError as exc:
            raise click.ClickException(str(exc)) from None
    target = DIST / "server.json" if packages else SERVER_JSON
    target.parent.mkdir(exist_ok=True)
    target.write_text(written(entry(*packages)), encoding="utf-8")
    if packages:
        write_checksums()
    click.echo(target.relative_to(ROOT))


if __name__ == "__main__":
    main()

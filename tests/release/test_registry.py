"""server.json is what the MCP registry takes, and says no more than is true."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from contit_mcp import __version__
from contit_mcp.cli.main import contit_mcp
from contit_mcp.config.settings import Settings
from release.registry import SERVER_JSON, SERVER_NAME, bundle_package, entry, python_package, written
from tests.rules.tree import ROOT

SCHEMA = json.loads((Path(__file__).parent / "registry-server.schema.json").read_text(encoding="utf-8"))
URL = "https://github.com/someone/contit-mcp/releases/download/v0.1.0/contit-mcp-0.1.0.mcpb"


def valid(server: dict[str, Any]) -> bool:
    """Whether the registry's schema takes it."""
    return not list(jsonschema.Draft7Validator(SCHEMA).iter_errors(server))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A file as a release would have it; the registry looks at its checksum alone."""
    file = tmp_path / "contit-mcp.mcpb"
    file.write_bytes(b"a bundle")
    return file


def test_server_json_is_up_to_date() -> None:
    assert SERVER_JSON.read_text(encoding="utf-8") == written(entry()), "make docs"
    assert json.loads(SERVER_JSON.read_text(encoding="utf-8"))["version"] == __version__


def test_server_json_names_no_place_where_nothing_is() -> None:
    server = json.loads(SERVER_JSON.read_text(encoding="utf-8"))
    assert not {"packages", "remotes"} & set(server)


def test_the_registry_takes_it_as_it_is_and_with_what_a_release_adds(bundle: Path) -> None:
    """Schema 2025-12-11 (documented)."""
    for packages in (
        [],
        [python_package()],
        [bundle_package(bundle, URL)],
        [python_package(), bundle_package(bundle, URL)],
    ):
        assert valid(entry(*packages))


@pytest.mark.parametrize(
    "fault",
    [
        {"description": "x" * 101},
        {"name": "no namespace"},
        {"version": None},
        {"packages": [{"registryType": "pypi", "identifier": "contit-mcp"}]},
        {"packages": [{**python_package(), "version": "latest"}]},
    ],
    ids=["description", "name", "version", "transport", "latest"],
)
def test_what_the_registry_refuses_is_noticed(fault: dict[str, Any]) -> None:
    """The rules that are kept here are rules (documented)."""
    assert not valid(entry() | fault)


def test_the_long_description_names_the_entry() -> None:
    """That is how the registry knows that the package is ours; the name ends at white space (documented)."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"mcp-name:\s*(\S+)(?=\s)", readme) == [SERVER_NAME]


def test_the_variables_are_settings_and_the_secret_ones_are_marked() -> None:
    """A host keeps those in its key chain (documented)."""
    fields = {field.alias: field for field in Settings.model_fields.values()}
    variables = {variable["name"]: variable for variable in python_package()["environmentVariables"]}
    assert variables.keys() <= fields.keys()
    marked = {name for name, variable in variables.items() if variable.get("isSecret")}
    assert marked == {name for name in variables if "SecretStr" in str(fields[name].annotation)}
    assert {"CONTIT_API_KEY", "CONTIT_ACCESS_TOKEN", "CONTIT_CLIENT_SECRET"} == marked


def test_the_package_is_started_by_a_command_that_exists() -> None:
    (argument,) = python_package()["packageArguments"]
    assert argument["value"] in contit_mcp.list_commands(click.Context(contit_mcp))


def test_a_bundle_comes_with_its_checksum(bundle: Path) -> None:
    """Hosts hold the download against it (documented)."""
    assert bundle_package(bundle, URL)["fileSha256"] == hashlib.sha256(b"a bundle").hexdigest()


@pytest.mark.parametrize(
    "url", ["https://example.com/releases/contit-mcp.mcpb", "https://github.com/someone/contit-mcp", "file:///x.mcpb"]
)
def test_a_bundle_anywhere_else_is_refused(bundle: Path, url: str) -> None:
    """The registry takes bundles from the releases of GitHub and GitLab only (documented)."""
    with pytest.raises(ValueError, match="no release on GitHub or GitLab"):
        bundle_package(bundle, url)

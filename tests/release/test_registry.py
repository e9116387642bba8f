"""server.json is accepted by the MCP registry, and names no place that does not exist yet."""

import hashlib
import json
from pathlib import Path

import click
import jsonschema
import pytest

from contit_mcp import __version__
from contit_mcp.cli.main import contit_mcp
from contit_mcp.config.settings import Settings
from release.registry import SERVER_JSON, bundle_package, entry, python_package

SCHEMA = json.loads((Path(__file__).parent / "registry-server.schema.json").read_text(encoding="utf-8"))
URL = "https://github.com/someone/contit-mcp/releases/download/v0.1.0/contit-mcp-0.1.0.mcpb"


def test_server_json_is_up_to_date_and_names_no_place_yet() -> None:
    text = SERVER_JSON.read_text(encoding="utf-8")
    assert text == entry(), "make docs"
    assert json.loads(text)["version"] == __version__
    assert not {"packages", "remotes"} & set(json.loads(text))


def test_the_registry_accepts_the_entry_before_and_after_each_upload(tmp_path: Path) -> None:
    bundle = tmp_path / "contit-mcp.mcpb"
    bundle.write_bytes(b"a bundle")
    uploaded = [python_package(), bundle_package(bundle, URL)]
    for packages in ([], uploaded[:1], uploaded[1:], uploaded):
        jsonschema.validate(json.loads(entry(*packages)), SCHEMA)
    assert uploaded[1]["fileSha256"] == hashlib.sha256(b"a bundle").hexdigest()


@pytest.mark.parametrize(
    "url",
    ["https://example.com/releases/contit-mcp.mcpb", "https://github.com/someone/contit-mcp", "file:///x.mcpb"],
)
def test_the_registry_takes_bundles_from_releases_on_github_and_gitlab_only(url: str) -> None:
    with pytest.raises(click.UsageError, match="no release on GitHub or GitLab"):
        bundle_package(Path("contit-mcp.mcpb"), url)


def test_the_variables_are_settings_the_secret_ones_are_marked_and_the_command_exists() -> None:
    package = python_package()
    variables = {variable["name"]: variable["isSecret"] for variable in package["environmentVariables"]}
    assert variables.keys() <= {field.alias for field in Settings.model_fields.values()}
    secret = {name for name, marked in variables.items() if marked}
    assert secret == {"CONTIT_API_KEY", "CONTIT_ACCESS_TOKEN", "CONTIT_CLIENT_SECRET"}
    (argument,) = package["packageArguments"]
    assert argument["value"] in contit_mcp.list_commands(click.Context(contit_mcp))

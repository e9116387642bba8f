"""The bundle: its manifest fits the server and its settings, and what it holds answers."""

import json
import re
import struct
import sys
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import Tool
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from contit_mcp import __version__
from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import load_settings
from release.bundle import pack, stage
from release.manifest import FILLED_IN, bundle_pyproject, manifest, user_config
from release.project import PROJECT, claimed_pythons, package_files
from release.trying import TOOLS, Start, answer_of, bare_environment, text_of
from tests.rules.tree import ROOT
from tests.server.test_tools import SNAPSHOT

NO_TOOLS: list[Tool] = []
FIELDS = {str(field.alias): field for field in Settings.model_fields.values()}
PICTURE = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR"
"""Drawing the icon takes Node; `make bundle` does it."""


def placeholders(value: object) -> set[str]:
    """The fields that a piece of the manifest refers to."""
    return set(re.findall(r"\$\{user_config\.(\w+)\}", json.dumps(value)))


def test_every_field_is_used_and_every_reference_is_a_field() -> None:
    assert placeholders(manifest(NO_TOOLS)["server"]) == set(user_config())


def test_the_fields_are_settings_and_the_secret_ones_are_kept_as_such() -> None:
    """Hosts mask them and keep them in the key chain (documented: MCPB manifest)."""
    environment = manifest(NO_TOOLS)["server"]["mcp_config"]["env"]
    assert set(environment) == set(FILLED_IN.values()) <= set(FIELDS)
    secret = {variable for variable in environment if "SecretStr" in str(FIELDS[variable].annotation)}
    sensitive = {FILLED_IN[name] for name, field in user_config().items() if field.get("sensitive")}
    assert sensitive == secret == {"CONTIT_API_KEY", "CONTIT_ACCESS_TOKEN"}


@pytest.mark.parametrize(
    "left", ["", " ", "null", "undefined", None], ids=["blank", "space", "null", "undefined", "as written"]
)
def test_a_field_left_blank_is_a_setting_left_alone(left: str | None) -> None:
    """Whatever a host makes of it, the placeholder itself included (seen: mcpb issue 250, mcpb 2.1.2)."""
    written = manifest(NO_TOOLS)["server"]["mcp_config"]["env"]
    environment = {name: value if left is None else left for name, value in written.items()}
    assert load_settings(environment=environment) == load_settings(environment={})


def test_none_of_the_fields_must_be_filled_in() -> None:
    """A host does not start a server that lacks one; it could then not be tried without an account (documented)."""
    assert not any(field["required"] for field in user_config().values())


def test_the_numbers_that_a_host_accepts_are_accepted() -> None:
    field = user_config()["wait_seconds"]
    for number in (field["min"], field["max"]):
        settings = load_settings(environment={"CONTIT_MCP_WAIT_SECONDS": str(number)})
        assert settings.wait_seconds == number <= settings.max_wait_seconds


def test_the_bundle_installs_the_versions_that_are_tested() -> None:
    project = tomllib.loads(bundle_pyproject())["project"]
    pins = [Requirement(line) for line in project["dependencies"]]
    assert all(len(pin.specifier) == 1 and str(pin.specifier).startswith("==") and pin.url is None for pin in pins)
    for line in PROJECT["dependencies"]:
        asked = Requirement(line)
        versions = [
            str(pin.specifier)[2:] for pin in pins if canonicalize_name(pin.name) == canonicalize_name(asked.name)
        ]
        assert versions, asked.name
        assert all(asked.specifier.contains(version) for version in versions), asked.name
    taken = SpecifierSet(project["requires-python"])
    assert [version for version in ("3.10", *claimed_pythons(), "3.99") if version in taken] == claimed_pythons()
    assert "contit-mcp" not in {pin.name for pin in pins}


def test_what_is_in_the_bundle_answers_before_the_sandbox(wheel: Path, tmp_path: Path) -> None:
    tools = [Tool.model_validate(tool) for tool in json.loads(SNAPSHOT.read_text(encoding="utf-8"))]
    folder = stage(tmp_path / "bundle", wheel, tools, PICTURE)
    described = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [tool["name"] for tool in described["tools"]] == TOOLS
    assert described["version"] == __version__
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert held == package_files() | {"manifest.json", "pyproject.toml", "main.py", "LICENSE", "icon.png"}

    main = str(folder / described["server"]["entry_point"])
    environment = bare_environment(tmp_path) | {"CONTIT_MCP_LOG_LEVEL": "WARNING"}
    untouched = anyio.run(answer_of, Start(sys.executable, [main], environment))
    assert untouched.is_error
    assert "CONTIT_API_KEY" in text_of(untouched)
    answer = anyio.run(answer_of, Start(sys.executable, [main, "--sandbox=true"], environment))
    assert not answer.is_error
    assert "draft" in text_of(answer)


def test_a_bundle_has_the_same_bytes_whenever_it_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(datetime(2026, 11, 26, 7, 8, 10, tzinfo=UTC).timestamp())))
    content = {"a/deep/file.json": b"{}" * 5_000, "main.py": b"print()\n", "ünïcode": b""}
    for folder, mode in (("first", 0o600), ("second", 0o644)):
        for name, data in content.items():
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(mode)
        assert pack(tmp_path / folder, tmp_path / f"{folder}.mcpb") == len(content)
    assert (tmp_path / "first.mcpb").read_bytes() == (tmp_path / "second.mcpb").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.mcpb") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == content
        assert {entry.date_time for entry in archive.infolist()} == {(2026, 11, 26, 7, 8, 10)}


def test_the_packer_is_pinned_and_its_lock_names_no_registry() -> None:
    npm = ROOT / "release" / "npm"
    package: dict[str, Any] = json.loads((npm / "package.json").read_text(encoding="utf-8"))
    lock: dict[str, Any] = json.loads((npm / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["dependencies"].values())
    installed = {name: entry for name, entry in lock["packages"].items() if name}
    assert all(entry["integrity"].startswith("sha512-") and "resolved" not in entry for entry in installed.values())

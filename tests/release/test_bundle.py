"""The bundle for Claude Desktop: its manifest fits the server and its settings, and its content answers."""

import json
import re
import sys
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from packaging.specifiers import SpecifierSet

from contit_mcp import __version__
from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import load_settings
from release.bundle import manifest, pack, project_file, stage
from release.project import claimed_pythons, package_files, pinned_requirements
from release.trial import TOOLS, ask, bare_environment
from tests.rules.tree import ROOT

MANIFEST = manifest()
ENVIRONMENT: dict[str, str] = MANIFEST["server"]["mcp_config"]["env"]
FIELDS: dict[str, dict[str, Any]] = MANIFEST["user_config"]


def test_every_field_becomes_a_setting_and_each_secret_is_marked_as_one() -> None:
    """A host masks a marked field and stores it in its key chain."""
    assert set(re.findall(r"\$\{user_config\.(\w+)\}", json.dumps(MANIFEST["server"]))) == set(FIELDS)
    settings = {str(field.alias): field for field in Settings.model_fields.values()}
    assert set(ENVIRONMENT) <= set(settings)
    secret = {name for name in ENVIRONMENT if "SecretStr" in str(settings[name].annotation)}
    marked = {f"${{user_config.{name}}}" for name, field in FIELDS.items() if field.get("sensitive")}
    assert marked == {ENVIRONMENT[name] for name in secret}


def test_no_field_must_be_filled_in_and_the_bounds_of_a_number_are_accepted() -> None:
    """A field left blank can arrive as its placeholder (seen: mcpb issue 250, mcpb 2.1.2)."""
    assert load_settings(environment=ENVIRONMENT) == load_settings(environment={})
    assert not any(field["required"] for field in FIELDS.values())
    for number in (FIELDS["wait_seconds"]["min"], FIELDS["wait_seconds"]["max"]):
        settings = load_settings(environment={"CONTIT_MCP_WAIT_SECONDS": str(number)})
        assert settings.wait_seconds == number <= settings.max_wait_seconds


def test_the_bundle_installs_the_pinned_versions_on_the_claimed_pythons() -> None:
    project = tomllib.loads(project_file())["project"]
    assert project["dependencies"] == pinned_requirements()
    assert all("==" in line and "contit" not in line for line in project["dependencies"])
    accepted = SpecifierSet(project["requires-python"])
    assert [version for version in ("3.10", *claimed_pythons(), "3.99") if version in accepted] == claimed_pythons()


def test_the_content_of_the_bundle_answers_with_the_sandbox_on(wheel: Path, tmp_path: Path) -> None:
    folder = stage(tmp_path / "bundle", wheel)
    described = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [tool["name"] for tool in described["tools"]] == TOOLS
    assert described["version"] == __version__
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert held == package_files() | {"manifest.json", "pyproject.toml", "main.py", "LICENSE"}

    start = [sys.executable, str(folder / described["server"]["entry_point"])]
    answered, text = anyio.run(ask, start, bare_environment(tmp_path))
    assert not answered
    assert "CONTIT_API_KEY" in text
    assert anyio.run(ask, [*start, "--sandbox=true"], bare_environment(tmp_path))[0]


def test_a_bundle_has_the_same_bytes_whenever_it_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = datetime(2026, 11, 26, 7, 8, 10, tzinfo=UTC)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(released.timestamp())))
    content = {"a/deep/file.json": b"{}" * 5_000, "main.py": b"print()\n", "ünïcode": b""}
    for folder, mode in ((tmp_path / "first", 0o600), (tmp_path / "second", 0o644)):
        for name, data in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            (folder / name).chmod(mode)
        pack(folder, folder.with_suffix(".mcpb"))
    assert (tmp_path / "first.mcpb").read_bytes() == (tmp_path / "second.mcpb").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.mcpb") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == content
        assert {entry.date_time for entry in archive.infolist()} == {released.timetuple()[:6]}


def test_the_packer_is_pinned_with_the_hash_of_each_of_its_packages() -> None:
    npm = ROOT / "release" / "npm"
    asked: dict[str, str] = json.loads((npm / "package.json").read_text(encoding="utf-8"))["dependencies"]
    locked: dict[str, Any] = json.loads((npm / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert locked.pop("")["dependencies"] == asked
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked.values())
    assert all(entry["integrity"].startswith("sha512-") for entry in locked.values())

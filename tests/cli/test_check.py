"""`contit-mcp check` as a person and a script meet it."""

import json
from pathlib import Path

import pytest

from contit_mcp.cli.check import check_store
from contit_mcp.config.sources import load_settings
from tests.children import sandbox_on_port
from tests.cli.command_line import environment, listed, run, upstream

pytestmark = pytest.mark.anyio


async def test_when_all_is_well_it_says_so_line_by_line(state: Path) -> None:
    async with sandbox_on_port() as (url, _):
        checked = await run("check", **upstream(url))
    assert checked.stdout.splitlines() == [
        "     Proxy: none",
        "     Certificate authorities: the operating system's",
        f"ok   Runs are remembered in: the state folder {state}",
        f"ok   Contit at {url}: it answers, and wants a credential",
        "ok   Credential: API key, set (hidden); it is good",
    ]
    assert (checked.returncode, checked.stderr) == (0, "")


async def test_a_failure_has_its_hint_on_a_line_of_its_own() -> None:
    checked = await run("check", CONTIT_BASE_URL="http://127.0.0.1:9")
    lines = checked.stdout.splitlines()
    assert checked.returncode == 1
    assert lines[-4].startswith("FAIL Contit at http://127.0.0.1:9: ")
    assert lines[-3].startswith("     hint: Check CONTIT_BASE_URL")
    assert lines[-2] == "FAIL Credential: No Contit credential is configured."
    assert lines[-1].startswith("     hint: Run contit-mcp install HOST")


async def test_json_holds_every_finding() -> None:
    async with sandbox_on_port() as (url, _):
        checked = await run("check", "--json", **upstream(url, CONTIT_API_KEY="wrong-key"))
    found = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert found["ok"] is False
    assert {frozenset(finding) for finding in found["findings"]} == {frozenset({"subject", "verdict", "good", "hint"})}
    assert [finding["good"] for finding in found["findings"]] == [None, None, True, True, False]
    assert "wrong-key" not in checked.stdout


async def test_settings_that_cannot_be_used_are_a_finding_in_json_and_an_error_otherwise() -> None:
    as_json = await run("check", "--json", "--config", "no-such-file.toml")
    assert as_json.returncode == 1
    (finding,) = json.loads(as_json.stdout)["findings"]
    assert finding["subject"] == "Settings"
    assert "cannot be read" in finding["verdict"]


async def test_the_command_line_goes_over_the_environment_over_the_file(tmp_path: Path) -> None:
    key, settings = tmp_path / "key", tmp_path / "contit-mcp.toml"
    key.write_text("sandbox-key\n", encoding="utf-8")
    async with sandbox_on_port() as (url, _):
        settings.write_text(f'base_url = "{url}"\napi_key_file = "{key}"\n', encoding="utf-8")
        checked = await run("check", "--config", str(settings))
        assert checked.returncode == 0, checked.stdout
        assert f"API key, from the file {key}; it is good" in checked.stdout
        overridden = await run("check", "--config", str(settings), CONTIT_BASE_URL="http://127.0.0.1:9")
        assert "Contit at http://127.0.0.1:9" in overridden.stdout
        again = await run("check", "--config", str(settings), "--base-url", url, CONTIT_BASE_URL="http://127.0.0.1:9")
        assert again.returncode == 0


async def test_the_proxy_is_named_without_its_password() -> None:
    proxy = "http://user:PASSWORD-MARKER@127.0.0.1:9"
    checked = await run("check", CONTIT_BASE_URL="https://contit.example", CONTIT_API_KEY="k", HTTPS_PROXY=proxy)
    assert checked.returncode == 1
    assert "Proxy: http://127.0.0.1:9" in checked.stdout
    assert "MARKER" not in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("store", "good", "verdict"),
    [
        ("memory", True, "memory"),
        ("sqlite", True, "the state folder TMP/state"),
        ("sqlite:TMP/runs.db", True, "TMP/runs.db"),
        ("sqlite:TMP/new/folder/runs.db", True, "TMP/new/folder/runs.db"),
        ("sqlite:TMP/file/runs.db", False, "TMP/file/runs.db: its folder cannot be written: Not a directory"),
        ("sqlite:TMP", False, "TMP: is not a file"),
        ("sqlite:TMP/file", True, "TMP/file"),
        ("redis://user:hunter2@127.0.0.1:9/0", False, "redis://127.0.0.1:9. The Redis store cannot be used"),
    ],
)
async def test_where_runs_are_remembered_is_tried(tmp_path: Path, store: str, good: bool | None, verdict: str) -> None:
    (tmp_path / "file").touch(mode=0o600)
    given = environment(CONTIT_MCP_STORE=store.replace("TMP", str(tmp_path)))
    before = listed(tmp_path)
    finding = await check_store(load_settings(environment=given))
    assert finding.good is good
    assert verdict.replace("TMP", str(tmp_path)) in finding.verdict
    assert (finding.hint is not None) == (good is False)
    assert "hunter2" not in str(finding)
    assert listed(tmp_path) == before


async def test_a_state_folder_that_cannot_be_made_and_a_store_file_that_cannot_be_read_are_failures(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    bad_folder = load_settings(environment={"CONTIT_MCP_STATE_DIR": str(tmp_path / "file" / "state")})
    finding = await check_store(bad_folder)
    assert finding.good is False
    assert "CONTIT_MCP_STATE_DIR" in str(finding.hint)
    bad_file = load_settings(environment={"CONTIT_MCP_STORE_FILE": str(tmp_path / "missing")})
    assert (await check_store(bad_file)).good is False

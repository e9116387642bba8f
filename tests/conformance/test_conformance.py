"""The requirements of the MCP specification on a server, checked by the official suite, which is an npm package.

expected.toml lists the checks that are expected to fail, with their reasons. A listed check that passes fails the test.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.children import Served
from tests.hosts.installing import node, npm_packages

FIXTURES = (sys.executable, "-m", "tests.conformance.fixture_server")
FAILS_ON_PURPOSE = frozenset({"Tool %r raised an unexpected exception", "handler for %r raised"})
# By revision, the scenarios that need no fixture.
GENERIC = {
    "2025-11-25": (
        "server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection",
    ),
    "2026-07-28": (
        "server-stateless", "tools-list", "resources-list", "prompts-list", "sep-2164-resource-not-found", "caching",
        "server-sse-multiple-streams", "dns-rebinding-protection", "http-header-validation",
    ),
}  # fmt: skip
EXPECTED = Path(__file__).with_name("expected.toml")
_EVERYWHERE = "wire-schema-valid"  # the suite adds this check to every scenario, also to one without requests

Checks = dict[str, str | None]
"""The checks of one scenario, each with the reason why it failed, or None if it passed."""


def run_suite(url: str, revision: str, folder: Path) -> dict[str, Checks]:
    """Run all scenarios for a revision, and return their checks by the name of the scenario."""
    commands = npm_packages("conformance", "@modelcontextprotocol/conformance")
    program = (commands / "conformance").resolve()
    words = ["server", "--url", url, "--requirements", revision, "--output-dir", str(folder)]
    done = subprocess.run([node() / "node", program, *words], capture_output=True, text=True, check=False, timeout=240)
    said = done.stdout + done.stderr
    assert done.returncode in {0, 1}, said  # 1 as soon as anything fails, expected or not
    assert "=== SUMMARY ===" in said, said
    found: dict[str, Checks] = {}
    for results in folder.iterdir():
        name = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.+", results.name)
        assert name, results
        checks = found[name[1]] = {}
        for check in json.loads((results / "checks.json").read_text(encoding="utf-8")):
            if check["status"] in {"FAILURE", "WARNING"}:
                checks[check["id"]] = str(check.get("errorMessage") or check.get("details") or "")
            elif check["status"] == "SUCCESS" and check["id"] != _EVERYWHERE:
                checks.setdefault(check["id"])  # one that has failed elsewhere stays failed
    return found


def wrong(found: dict[str, Checks], target: str, revision: str) -> list[str]:
    """Return each difference to expected.toml: a failed check, a scenario without a check, a line that is not true."""
    expected = tomllib.loads(EXPECTED.read_text(encoding="utf-8")).get(target, {}).get(revision, {})
    known = {**expected.get("fails", {}), **expected.get("not_counted", {})}
    seen = {name: "it has no check of its own" for name, checks in found.items() if not checks}
    seen |= {f"{name}:{one}": why for name, checks in found.items() for one, why in checks.items() if why is not None}
    return [
        *(f"{line}: {why}" for line, why in seen.items() if line not in known),
        *(f"{EXPECTED.name}: {line} holds no longer; take it out." for line in known if line not in seen),
    ]


@pytest.mark.parametrize("target", ["real", "fixtures"])
@pytest.mark.parametrize("revision", GENERIC)
def test_the_suite_fails_exactly_the_expected_checks(target: str, revision: str, tmp_path: Path) -> None:
    """In `contit-mcp http --sandbox` as it is, and in our server with the fixtures that the suite calls."""
    real = target == "real"
    fixtures = Served({}, command=FIXTURES, errors_expected=FAILS_ON_PURPOSE)
    with Served({}, ("--sandbox",)) if real else fixtures as server:
        found = run_suite(server.url, revision, tmp_path)
    counted = {name: found[name] for name in GENERIC[revision]} if real else found
    assert not wrong(counted, target, revision)

"""Runs the official suite (an npm package, pinned in tests/hosts/package.json) and reads what it found."""

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from tests.hosts.installing import node, npm_packages

REVISIONS = ("2025-11-25", "2026-07-28")
EXPECTED = Path(__file__).with_name("expected.toml")
_SECONDS = 240
_EVERYWHERE = "wire-schema-valid"
"""A check that the suite adds to every scenario: it holds also where the scenario's own question was not asked."""


@dataclass
class Scenario:
    """What one scenario found: its own checks that passed, and why each of the others failed."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def run_suite(url: str, revision: str, folder: Path) -> dict[str, Scenario]:
    """Run everything that a revision requires, and what the suite reports beside it."""
    commands = npm_packages("conformance", "@modelcontextprotocol/conformance")
    arguments = ["--url", url, "--requirements", revision, "--output-dir", str(folder)]
    done = subprocess.run(
        [node() / "node", (commands / "conformance").resolve(), "server", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    said = done.stdout + done.stderr
    assert done.returncode in {0, 1}, said  # 1 as soon as anything fails, expected or not
    assert "=== SUMMARY ===" in said, said
    found = {}
    for results in folder.iterdir():
        name = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.+", results.name)
        assert name, results
        scenario = found[name[1]] = Scenario()
        for check in json.loads((results / "checks.json").read_text(encoding="utf-8")):
            if check["status"] == "SUCCESS" and check["id"] != _EVERYWHERE:
                scenario.passed.append(check["id"])
            elif check["status"] in {"FAILURE", "WARNING"}:
                scenario.failed[check["id"]] = str(check.get("errorMessage") or check.get("details") or "")
    return found


def wrong(found: dict[str, Scenario], target: str, revision: str) -> list[str]:
    """Return what differs from expected.toml, in either direction: checks that fail, scenarios that asked nothing."""
    expected = tomllib.loads(EXPECTED.read_text(encoding="utf-8")).get(target, {}).get(revision, {})
    failed = {f"{name}:{check}": why for name, each in found.items() for check, why in each.failed.items()}
    asked_nothing = {name: "it has no check of its own" for name, each in found.items() if not each.passed}
    asked_nothing = {name: why for name, why in asked_nothing.items() if not found[name].failed}
    known = {**expected.get("fails", {}), **expected.get("not_counted", {})}
    seen = failed | asked_nothing
    return [
        *(f"{line}: {why}" for line, why in seen.items() if line not in known),
        *(f"{EXPECTED.name}: {line} holds no longer; take it out." for line in known if line not in seen),
    ]

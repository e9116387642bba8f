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


@dataclass(frozen=True)
class Scenario:
    """What one scenario found."""

    passed: tuple[str, ...]
    failed: dict[str, str]

    @property
    def own(self) -> int:
        """Checks passed that are the scenario's own."""
        return sum(check != _EVERYWHERE for check in self.passed)


@dataclass(frozen=True)
class Expectation:
    """What is known not to hold, with reasons: checks as `scenario:check`, and scenarios that ask nothing."""

    fails: dict[str, str]
    not_counted: dict[str, str]

    @classmethod
    def of(cls, target: str, revision: str) -> "Expectation":
        """The part of expected.toml for one run."""
        part = tomllib.loads(EXPECTED.read_text(encoding="utf-8")).get(target, {}).get(revision, {})
        return cls(part.get("fails", {}), part.get("not_counted", {}))


@dataclass
class Verdict:
    """A run beside what was expected of it."""

    counted: dict[str, int] = field(default_factory=dict)
    expected: list[str] = field(default_factory=list)
    not_counted: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """Scenario by scenario."""
        return [
            *(f"passed {checks:2} checks  {name}" for name, checks in self.counted.items()),
            *(f"expected to fail  {name}" for name in self.expected),
            *(f"not counted       {name}" for name in self.not_counted),
            *(f"WRONG             {name}" for name in self.wrong),
        ]

    @property
    def summary(self) -> str:
        """In one line."""
        return (
            f"{len(self.counted)} scenarios passed with {sum(self.counted.values())} checks of their own, "
            f"{len(self.expected)} expected failures, {len(self.not_counted)} not counted"
        )


def run_suite(url: str, revision: str, folder: Path) -> dict[str, Scenario]:
    """Everything that a revision requires, and what the suite reports beside it."""
    said = _conformance("--url", url, "--requirements", revision, "--output-dir", str(folder))
    assert "=== SUMMARY ===" in said, said
    found = {}
    for results in folder.iterdir():
        name = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.+", results.name)
        assert name, results
        found[name[1]] = _read(results / "checks.json")
    return found


def _conformance(*arguments: str) -> str:
    commands = npm_packages("conformance", "@modelcontextprotocol/conformance")
    done = subprocess.run(
        [node() / "node", (commands / "conformance").resolve(), "server", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    said = done.stdout + done.stderr
    assert done.returncode in {0, 1}, said  # 1 as soon as anything fails, expected or not
    return said


def _read(file: Path) -> Scenario:
    passed: list[str] = []
    failed: dict[str, str] = {}
    for check in json.loads(file.read_text(encoding="utf-8")):
        if check["status"] == "SUCCESS":
            passed.append(check["id"])
        elif check["status"] in {"FAILURE", "WARNING"}:
            failed[check["id"]] = str(check.get("errorMessage") or check.get("details") or "")
    return Scenario(tuple(passed), failed)


def judge(found: dict[str, Scenario], expectation: Expectation) -> Verdict:
    """Compare. Whatever is wrong, in either direction, is said in one line each."""
    verdict = Verdict()
    stale = set(expectation.fails) | set(expectation.not_counted)
    for name, scenario in sorted(found.items()):
        failed = dict(scenario.failed)
        for check in list(failed):
            if f"{name}:{check}" in expectation.fails:
                verdict.expected.append(f"{name}:{check}")
                stale.discard(f"{name}:{check}")
                del failed[check]
        verdict.wrong += [f"{name}:{check} failed: {why}" for check, why in failed.items()]
        if name in expectation.not_counted:
            verdict.not_counted.append(name)
            stale.discard(name)
            if scenario.own:
                verdict.wrong.append(f"{name} has passed checks of its own now: count it.")
        elif not failed and scenario.own:
            verdict.counted[name] = scenario.own
        elif not scenario.failed:
            verdict.wrong.append(f"{name} passed without a check of its own: say in {EXPECTED.name} why.")
    verdict.wrong += [f"{EXPECTED.name}: {line} holds no longer; take it out." for line in sorted(stale)]
    return verdict

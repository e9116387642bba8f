"""Prints at the end what every scenario has found."""

from collections.abc import Callable
from dataclasses import asdict

import pytest

from tests.conformance.suite import Verdict

Report = Callable[[str, str, Verdict], None]


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Keeps a verdict with the test's report, which comes here from wherever the test has run."""
    return lambda target, revision, verdict: record_property("verdict", [revision, target, asdict(verdict)])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Scenario by scenario, then one line a run."""
    found = sorted(
        (revision, target, Verdict(**verdict))
        for outcome in ("passed", "failed")
        for test in terminalreporter.getreports(outcome)
        for name, (revision, target, verdict) in test.user_properties
        if name == "verdict"
    )
    for revision, target, verdict in found:
        terminalreporter.section(f"{revision}, {target}")
        for line in verdict.lines:
            terminalreporter.write_line(line)
    for revision, target, verdict in found:
        terminalreporter.write_line(f"conformance {revision}, {target}: {verdict.summary}")

"""Prints at the end what every scenario has found."""

from dataclasses import dataclass, field

import pytest

from tests.conformance.suite import Verdict


@dataclass
class Report:
    """The verdicts of a run of the tests."""

    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)

    def add(self, target: str, revision: str, verdict: Verdict) -> None:
        """Remember one."""
        self.verdicts[revision, target] = verdict


_REPORT = Report()


@pytest.fixture(scope="session")
def report() -> Report:
    """Where verdicts go."""
    return _REPORT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Scenario by scenario, then one line a run."""
    for (revision, target), verdict in sorted(_REPORT.verdicts.items()):
        terminalreporter.section(f"{revision}, {target}")
        for name, checks in sorted(verdict.counted.items()):
            terminalreporter.write_line(f"passed  {checks:3} checks  {name}")
        for name in verdict.expected:
            terminalreporter.write_line(f"expected to fail    {name}")
        for name in verdict.not_counted:
            terminalreporter.write_line(f"not counted         {name}")
        for line in verdict.wrong:
            terminalreporter.write_line(f"WRONG               {line}")
    for (revision, target), verdict in sorted(_REPORT.verdicts.items()):
        terminalreporter.write_line(f"conformance {revision}, {target}: {verdict.line}")

"""The bench that all clients share, and the table at the end."""

import calendar
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from tests.hosts.bench import QUICK_SECONDS, SLOW_SECONDS, TRANSPORTS, Bench, set_up
from tests.hosts.trials import Row, Trial

_MONTHS = (f"{month} {year}" for year in range(2025, 2010, -1) for month in calendar.month_name[1:])


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """The server over HTTP, a sandbox and a stand-in model."""
    with set_up(QUICK_SECONDS) as bench:
        yield bench


@pytest.fixture(params=TRANSPORTS)
def trial(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path, note: Callable[[Row], None]) -> Trial:
    """One client over each transport."""
    return Trial(bench, bench.entry(request.param, tmp_path / "server"), tmp_path / "home", note)


@pytest.fixture(scope="session")
def slow_bench() -> Iterator[Bench]:
    """Likewise, but each run takes longer than a call waits."""
    with set_up(SLOW_SECONDS) as bench:
        yield bench


@pytest.fixture(params=("stdio", "http+token"))
def slow_trial(request: pytest.FixtureRequest, slow_bench: Bench, tmp_path: Path, note: Callable[[Row], None]) -> Trial:
    """One client, one question, an answer that is late."""
    return Trial(slow_bench, slow_bench.entry(request.param, tmp_path / "server"), tmp_path / "home", note)


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[Row], None]:
    """Keeps a row with the test's report, which comes here from wherever the test has run."""
    return lambda row: record_property("row", astuple(row))


@pytest.fixture
def question() -> str:
    """Another one for each test: the same one again would be given the answer that its asker before did not take."""
    return f"List all published articles from {next(_MONTHS)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Who was tried, and what was seen."""
    rows = [
        Row(*value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "row"
    ]
    if not rows:
        return
    head = ("client", "version", "transport", "protocol", "names itself", "waits", "model sees", "seconds")
    table = [head, *(_cells(row) for row in sorted(rows, key=lambda row: (row.client, row.version)))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("clients")
    for cells in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        terminalreporter.write_line(line.rstrip())


def _cells(row: Row) -> tuple[str, ...]:
    numbers = f"{row.waits:.0f} s", f"{row.seconds:.1f}"
    return row.client, row.version, row.transport, row.protocol, row.host, numbers[0], row.saw, numbers[1]

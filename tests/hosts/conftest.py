"""The bench that all clients share, and the table at the end."""

import calendar
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bench import SLOW_SECONDS, TRANSPORTS, Bench, set_up
from tests.hosts.trials import Row, Trial

_ROWS: list[Row] = []
_MONTHS = iter(calendar.month_name[1:])


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """The server over HTTP, a sandbox and a stand-in model."""
    with set_up() as bench:
        yield bench


@pytest.fixture(params=TRANSPORTS)
def trial(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Trial:
    """One client over each transport."""
    return Trial(bench, bench.entry(request.param, tmp_path / "server"), tmp_path / "home", _ROWS)


@pytest.fixture(scope="session")
def slow_bench() -> Iterator[Bench]:
    """Likewise, but each run takes longer than a call waits."""
    with set_up(run_seconds=SLOW_SECONDS) as bench:
        yield bench


@pytest.fixture(params=("stdio", "http+token"))
def slow_trial(request: pytest.FixtureRequest, slow_bench: Bench, tmp_path: Path) -> Trial:
    """One client, one question, an answer that is late."""
    return Trial(slow_bench, slow_bench.entry(request.param, tmp_path / "server"), tmp_path / "home", _ROWS)


@pytest.fixture
def question() -> str:
    """Another one for each test: the same one again would be given the answer that its asker before did not take."""
    return f"List all published articles from {next(_MONTHS)} 2025"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Who was tried, and what was seen."""
    if not _ROWS:
        return
    head = Row("client", "version", "transport", "protocol", "names itself", "model sees", 0)
    widths = [max(len(str(value)) for value in column) for column in zip(*map(_cells, [head, *_ROWS]), strict=True)]
    terminalreporter.section("clients")
    for row in [head, *_ROWS]:
        cells = [cell.ljust(width) for cell, width in zip(_cells(row), widths, strict=True)]
        terminalreporter.write_line("  ".join(cells) + ("  seconds" if row is head else f"  {row.seconds:7.1f}"))


def _cells(row: Row) -> list[str]:
    return [row.client, row.version, row.transport, row.protocol, row.host, row.saw]

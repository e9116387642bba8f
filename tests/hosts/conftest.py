"""The bench that all clients share, and the table at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bench import TRANSPORTS, Bench, set_up
from tests.hosts.trials import Row, Trial

_ROWS: list[Row] = []


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """The server over HTTP, a sandbox and a stand-in model."""
    with set_up() as bench:
        yield bench


@pytest.fixture(params=TRANSPORTS)
def trial(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Trial:
    """One client over each transport."""
    return Trial(bench, bench.entry(request.param, tmp_path / "server"), tmp_path / "home", _ROWS)


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

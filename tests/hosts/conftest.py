"""A client on its bench, over each transport, before a Contit whose runs take some time."""

import calendar
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.bench import Bench, Trial, set_up

_MONTHS = (f"{month} {year}" for year in range(2025, 2010, -1) for month in calendar.month_name[1:])


@pytest.fixture(scope="session")
def bench_of() -> Iterator[Callable[[float], Bench]]:
    """Yield a function that returns the bench whose runs take these seconds; all clients share it."""
    with ExitStack() as stack:
        yield cache(lambda seconds: stack.enter_context(set_up(seconds)))


def trials(run_seconds: float, *transports: str) -> Any:
    """Return a fixture: one client with its entry, over each transport."""

    @pytest.fixture(params=transports)
    def one_client(request: pytest.FixtureRequest, bench_of: Callable[[float], Bench], tmp_path: Path) -> Trial:
        bench = bench_of(run_seconds)
        return Trial(bench, bench.entry(request.param, tmp_path / "server"), tmp_path / "home")

    return one_client


trial = trials(0.2, "stdio", "http", "http+token")
slow_trial = trials(8.0, "stdio", "http+token")  # longer than any call waits in the tests about waiting
long_trial = trials(30.0, "http+token")  # longer than the 8 s for which a call waits before it becomes a task


@pytest.fixture
def question() -> str:
    """A question that no other test asks: an answer that its caller did not take is returned to the same question."""
    return f"List all published articles from {next(_MONTHS)}"

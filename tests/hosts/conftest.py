"""The benches that all clients share."""

import calendar
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.hosts.bench import Bench, set_up
from tests.hosts.trials import Trial

QUICK_SECONDS = 0.2
SLOW_SECONDS = 8.0  # longer than any call waits in the tests about waiting
LONG_SECONDS = 30.0  # longer than the 8 s for which a call waits before it becomes a task
_MONTHS = (f"{month} {year}" for year in range(2025, 2010, -1) for month in calendar.month_name[1:])

BenchOf = Callable[[float], Bench]


@pytest.fixture(scope="session")
def bench_of() -> Iterator[BenchOf]:
    """The servers before a Contit whose runs take so many seconds."""
    with ExitStack() as stack:
        yield cache(lambda seconds: stack.enter_context(set_up(seconds)))


@pytest.fixture(params=("stdio", "http", "http+token"))
def trial(request: pytest.FixtureRequest, bench_of: BenchOf, tmp_path: Path) -> Trial:
    """One client over each transport."""
    return Trial.over(request.param, bench_of(QUICK_SECONDS), tmp_path)


@pytest.fixture(params=("stdio", "http+token"))
def slow_trial(request: pytest.FixtureRequest, bench_of: BenchOf, tmp_path: Path) -> Trial:
    """One client, one question, an answer that is late."""
    return Trial.over(request.param, bench_of(SLOW_SECONDS), tmp_path)


@pytest.fixture
def long_trial(request: pytest.FixtureRequest, bench_of: BenchOf, tmp_path: Path) -> Trial:
    """One client, an answer that is a task's; over HTTP with a token unless a test says otherwise."""
    return Trial.over(getattr(request, "param", "http+token"), bench_of(LONG_SECONDS), tmp_path)


@pytest.fixture
def question() -> str:
    """Another one for each test: the same one again would be given the answer that its asker before did not take."""
    return f"List all published articles from {next(_MONTHS)}"

"""The benchmarks run, and a goal that is missed is named. No test checks a speed."""

import math
from pathlib import Path

import pytest

from benchmarks.__main__ import measure
from benchmarks.polls import polls
from benchmarks.report import Row, above_the_floor, lines, missed, read_budget

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Real time, for child processes."""
    return "asyncio", {}


async def test_many_asks_are_measured_with_real_servers_over_http(tmp_path: Path) -> None:
    rows = {row.name: row for row in await measure("asks", tmp_path, quick=True)}
    asks = rows["5 asks of 5 s at once, p99"]
    assert asks.note == "SDK, sleeping answered 5; contit-mcp answered 5"
    assert all(value > 5 for values in asks.values.values() for value in values)


@pytest.mark.parametrize(("part", "rows"), [("cold-start", 1), ("status", 4), ("hostile", 2)])
async def test_a_part_measures_its_rows_with_real_servers(part: str, rows: int, tmp_path: Path) -> None:
    """The status over both transports and in both eras."""
    measured = await measure(part, tmp_path, quick=True)
    assert len(measured) == rows
    assert all(value > 0 for row in measured for values in row.values.values() for value in values)
    assert all((row.ratio or 0) > 0 for row in measured if part != "status")


def test_each_goal_of_the_budget_is_about_a_row_that_is_measured() -> None:
    """Otherwise a goal about a renamed row would never be checked."""
    budget = set(read_budget())
    assert budget == {row.name for row in polls(runs=10)} | {
        "cold start",
        *(f"contit_status over {transport}, {era}" for transport in ("stdio", "HTTP") for era in ("legacy", "modern")),
        "1,000 asks of 5 s at once, p99",
        "1,000 asks of 5 s at once, peak memory",
        "healthz beside hostile requests, median",
        "healthz beside hostile requests, worst",
    }


@pytest.mark.parametrize(
    ("ratios", "told"),
    [
        ([1.0, 1.1, 1.9], []),  # the median counts
        ([1.0, 1.3, 1.9], ["start: 1.30, and the goal is 1.15"]),
        ([math.inf] * 3, ["start: inf, and the goal is 1.15"]),
        ([math.nan] * 3, ["start: nan, and the goal is 1.15"]),
        ([], ["start: was not measured"]),
    ],
)
def test_a_goal_that_is_missed_is_named(ratios: list[float], told: list[str]) -> None:
    """So is one that was not measured."""
    assert missed([Row("start", "s", {"ours": [1.0]}, ratios)], {"start": 1.15}) == told


def test_a_ratio_above_the_floor_leaves_out_what_all_have_in_common() -> None:
    """2 ms in all three, 4 ms more in theirs, 1 ms more in ours."""
    values = {"us": [3.0], "they": [6.0], "none": [2.0]}
    row = above_the_floor("call", "ms", values, ours="us", other="they", floor="none")
    assert row.ratio == 0.25
    assert list(lines([row], {"call": 0.6}))[-1] == (
        "| call | us 3 ms, they 6 ms, none 2 ms | 0.25 (us / they, each above none) |  | 0.6 |"
    )

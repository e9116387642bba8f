"""The benchmarks run, and a goal that is missed is named. No test checks a speed."""

import math
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS, measure
from benchmarks.report import Row, above_the_floor, lines, missed, read_budget
from tests.children import anyio_backend

__all__ = ["anyio_backend"]
pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]


async def test_every_part_measures_its_rows_with_real_servers(tmp_path: Path) -> None:
    """Each goal names one of these rows: the goal of a row that was renamed would never be checked."""
    rows: dict[str, Row] = {}
    for part in PARTS:
        (folder := tmp_path / part).mkdir()
        rows |= {row.name.replace("5 asks", "1,000 asks"): row for row in await measure(part, folder, quick=True)}
    assert all(rows[name].ratios for name in read_budget())
    assert all(value > 0 for row in rows.values() for values in row.values.values() for value in values)
    asks = rows["1,000 asks of 5 s at once, p99"]
    assert asks.note == "SDK, sleeping answered 5; contit-mcp answered 5"
    assert all(value > 5 for values in asks.values.values() for value in values)


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
    assert "| 0.25 (us / they, each above none) |  | 0.6 |" in list(lines([row], {"call": 0.6}))[-1]

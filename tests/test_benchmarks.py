"""The benchmarks run, and a promise that is not kept is told. How fast anything is stands in no test."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.polls import polls
from benchmarks.report import lines, missed, read_budget
from benchmarks.rows import Row, above_the_floor

ROOT = Path(__file__).parent.parent


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m benchmarks`, as quickly as it goes."""
    line = [sys.executable, "-m", "benchmarks", "--quick", "--json", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_many_asks_are_measured_with_real_servers_over_http() -> None:
    """Real children, real ports, a few calls (our choice)."""
    done = bench("polls", "asks")
    assert done.returncode == 0, done.stderr
    asks = json.loads(done.stdout)["rows"]["5 asks of 5 s at once, p99"]
    assert asks["note"] == "SDK, sleeping answered 5; contit-mcp answered 5"
    assert all(value > 5 for values in asks["values"].values() for value in values)


def test_a_start_over_stdio_is_measured_against_the_empty_server() -> None:
    """Seconds and, on Linux, memory (our choice)."""
    done = bench("cold-start")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"]["cold start"]["ratio"] > 0
    assert found["rows"]["cold start"]["at_most"] == 1.15
    assert found["machine"]["mcp"]


def test_each_promise_of_the_budget_is_about_a_row_that_is_measured() -> None:
    """A row that was renamed would be promised for ever and never looked at (our choice)."""
    budget = set(read_budget())
    assert budget == {row.name for row in polls(runs=10)} | {
        "cold start",
        *(f"contit_status over {transport}, {era}" for transport in ("stdio", "HTTP") for era in ("legacy", "modern")),
        "1,000 asks of 5 s at once, p99",
        "1,000 asks of 5 s at once, p99 beside calls that sleep",
        "1,000 asks of 5 s at once, peak memory",
    }


@pytest.mark.parametrize(
    ("ratios", "told"),
    [
        ([1.0, 1.1, 1.9], []),  # the median counts
        ([1.0, 1.3, 1.9], ["start: 1.30, and 1.15 is promised"]),
        ([math.inf] * 3, ["start: inf, and 1.15 is promised"]),
        ([math.nan] * 3, ["start: nan, and 1.15 is promised"]),
        ([], ["start: was not measured"]),
    ],
)
def test_a_promise_that_is_not_kept_is_named(ratios: list[float], told: list[str]) -> None:
    """Also one that nobody has measured (our choice)."""
    assert missed([Row("start", "s", {"ours": [1.0]}, ratios)], {"start": 1.15}) == told


def test_a_ratio_above_the_floor_leaves_out_what_all_have_in_common() -> None:
    """2 ms of everyone's, 4 ms of theirs, 1 ms of ours (our choice)."""
    values = {"us": [3.0], "they": [6.0], "none": [2.0]}
    row = above_the_floor("call", "ms", values, ours="us", other="they", floor="none")
    assert row.ratio == 0.25
    assert list(lines([row], {"call": 0.6}))[-1] == (
        "| call | us 3 ms, they 6 ms, none 2 ms | 0.25 (us / they, each above none) |  | 0.6 |"
    )

"""Polls of a run, and the lag until its end is seen: our schedule and "every second", on simulated runs.

A run's length is drawn from one of three distributions. Everything else is arithmetic, so 20,000 runs take a second.
"""

import math
import random
import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.report import Row
from contit_mcp.assistant.waiting import PollPolicy

OURS, EVERY_SECOND = "contit-mcp", "every second"

DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "short": lambda draw: draw.uniform(1.0, 8.0),
    "long-tailed": lambda draw: min(900.0, draw.lognormvariate(math.log(12.0), 1.1)),
    "bimodal": lambda draw: max(0.5, draw.gauss(4.0, 1.0) if draw.random() < 0.6 else draw.gauss(60.0, 15.0)),
}
"""Lengths of runs in seconds. The lengths of Contit's runs are not known; other assistant services have these."""


def followed(length: float, pause: Callable[[float], float]) -> tuple[int, float]:
    """Return the polls until the end of one run is seen, and the seconds from its end until then."""
    age, polls = 0.0, 0
    while True:
        age += pause(age)
        polls += 1
        if age >= length:
            return polls, age - length


def polls(*, runs: int, seed: int = 1) -> list[Row]:
    """Return the means over the runs, for each distribution."""
    rows = []
    schedule = PollPolicy()
    for name, length_of in DISTRIBUTIONS.items():
        draws = random.Random(seed)
        lengths = [length_of(draws) for _ in range(runs)]
        ours = [followed(length, partial(schedule.pause, draw=draws.random)) for length in lengths]
        every = [followed(length, lambda _: 1.0) for length in lengths]
        for number, (what, unit) in enumerate((("polls", "a run"), ("lag", "s"))):
            means = {
                who: [statistics.fmean(found[number] for found in all_of_them)]
                for who, all_of_them in ((OURS, ours), (EVERY_SECOND, every))
            }
            ratio = means[OURS][0] / means[EVERY_SECOND][0]
            rows.append(Row(f"{what}, {name} runs", unit, means, [ratio], f"{OURS} / {EVERY_SECOND}"))
    return rows

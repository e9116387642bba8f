"""The rows that a benchmark returns, the goals, and the printed table."""

import math
import os
import platform
import statistics
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

BUDGET_FILE = Path(__file__).with_name("budget.toml")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: The name in the budget file.
        unit: The unit of the values.
        values: The values by contender, one for each round.
        ratios: One for each round; empty if there is no goal.
        meaning: What the ratio compares.
        note: What else was seen.
    """

    name: str
    unit: str
    values: Mapping[str, Sequence[float]]
    ratios: Sequence[float] = field(default_factory=list)
    meaning: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The median ratio of the rounds."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        """The first and the third quartile of the ratios."""
        if len(self.ratios) < 2:
            return None
        low, _, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, high


def compared(
    name: str, unit: str, values: Mapping[str, Sequence[float]], ours: str, other: str, *, note: str = ""
) -> Row:
    """Return a row whose ratio is one contender's value over another's; infinite if ours is."""
    ratios = [a / b if math.isfinite(a) else math.inf for a, b in zip(values[ours], values[other], strict=True)]
    return Row(name, unit, values, ratios, f"{ours} / {other}", note)


def above_the_floor(
    name: str, unit: str, values: Mapping[str, Sequence[float]], *, ours: str, other: str, floor: str
) -> Row:
    """Return a row whose ratio compares two contenders after the value of `floor` is subtracted from both."""
    ratios = [(a - z) / (b - z) for a, b, z in zip(values[ours], values[other], values[floor], strict=True)]
    return Row(name, unit, values, ratios, f"{ours} / {other}, each above {floor}")


def read_budget(file: Path = BUDGET_FILE) -> dict[str, float]:
    """Return the goals by the name of their row."""
    with file.open("rb") as opened:
        return {name: float(limit) for name, limit in tomllib.load(opened).items()}


def missed(rows: Iterable[Row], budget: Mapping[str, float]) -> list[str]:
    """Return one sentence for each goal that was missed or not measured."""
    ratios = {row.name: row.ratio for row in rows}
    problems = []
    for name, limit in budget.items():
        ratio = ratios.get(name)
        if ratio is None:
            problems.append(f"{name}: was not measured")
        elif not ratio <= limit:
            problems.append(f"{name}: {ratio:.2f}, and the goal is {limit:g}")
    return problems


def machine() -> dict[str, str]:
    """Return what the numbers depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines_of = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines_of if "model name" in line]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: version(name) for name in ("contit-mcp", "mcp", "httpx")},
    }


def lines(rows: Iterable[Row], budget: Mapping[str, float]) -> Iterable[str]:
    """Yield the table in Markdown."""
    yield "| what | values (median) | ratio | interquartile range | at most |"
    yield "|---|---|---|---|---|"
    for row in rows:
        values = ", ".join(f"{who} {_short(statistics.median(v))} {row.unit}" for who, v in row.values.items())
        ratio = "" if row.ratio is None else f"{_short(row.ratio)} ({row.meaning})"
        middle = "" if row.quartiles is None else " to ".join(_short(each) for each in row.quartiles)
        limit = budget.get(row.name)
        note = f" ({row.note})" if row.note else ""
        yield f"| {row.name} | {values}{note} | {ratio} | {middle} | {'' if limit is None else f'{limit:g}'} |"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"

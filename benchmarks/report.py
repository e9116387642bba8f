"""The table, the machine it was measured on, and which promise was not kept."""

import json
import math
import os
import platform
import statistics
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.rows import Row

BUDGET_FILE = Path(__file__).with_name("budget.toml")


def read_budget(file: Path = BUDGET_FILE) -> dict[str, float]:
    """The promised ratios by row."""
    with file.open("rb") as opened:
        return {name: float(limit) for name, limit in tomllib.load(opened).items()}


def missed(rows: Iterable[Row], budget: Mapping[str, float]) -> list[str]:
    """One sentence for each promise that was not kept, or not measured."""
    ratios = {row.name: row.ratio for row in rows}
    problems = []
    for name, limit in budget.items():
        ratio = ratios.get(name)
        if ratio is None:
            problems.append(f"{name}: was not measured")
        elif not ratio <= limit:
            problems.append(f"{name}: {ratio:.2f}, and {limit:g} is promised")
    return problems


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: version(name) for name in ("contit-mcp", "mcp", "httpx")},
    }


def lines(rows: Iterable[Row], budget: Mapping[str, float]) -> Iterable[str]:
    """The table in Markdown, so that it can be kept as it is."""
    yield "| what | values (median) | ratio | middle half | at most |"
    yield "|---|---|---|---|---|"
    for row in rows:
        values = ", ".join(f"{who} {_short(statistics.median(v))} {row.unit}" for who, v in row.values.items())
        ratio = "" if row.ratio is None else f"{_short(row.ratio)} ({row.meaning})"
        spread = "" if row.spread is None else " to ".join(_short(each) for each in row.spread)
        limit = budget.get(row.name)
        note = f" ({row.note})" if row.note else ""
        yield f"| {row.name} | {values}{note} | {ratio} | {spread} | {'' if limit is None else f'{limit:g}'} |"


def as_json(rows: Iterable[Row], budget: Mapping[str, float], seconds: float) -> str:
    """All values, for whoever follows them over time."""
    found: dict[str, Any] = {"machine": machine(), "seconds": round(seconds, 1), "rows": {}}
    for row in rows:
        found["rows"][row.name] = {
            "unit": row.unit,
            "values": {who: [_plain(value) for value in values] for who, values in row.values.items()},
            "ratios": [_plain(ratio) for ratio in row.ratios],
            "ratio": None if row.ratio is None else _plain(row.ratio),
            "meaning": row.meaning,
            "at_most": budget.get(row.name),
            "note": row.note,
        }
    return json.dumps(found, indent=1)


def _plain(value: float) -> float | None:
    """JSON has no infinity."""
    return round(value, 6) if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"

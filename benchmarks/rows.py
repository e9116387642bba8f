"""What a benchmark finds: rows of values by contender, one a round, and a ratio a round where one is promised."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: As the budget file has it.
        unit: Of the values.
        values: By contender, one a round.
        ratios: One a round; none where only the values are of interest.
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
        """The median of the rounds."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """Between which ratios the middle half of the rounds lies."""
        if len(self.ratios) < 2:
            return None
        low, _, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, high


def compared(name: str, unit: str, values: Mapping[str, Sequence[float]], ours: str, other: str) -> Row:
    """A row whose ratio is one contender's value over another's, round by round."""
    ratios = [a / b for a, b in zip(values[ours], values[other], strict=True)]
    return Row(name, unit, values, ratios, f"{ours} / {other}")


def above_the_floor(
    name: str, unit: str, values: Mapping[str, Sequence[float]], *, ours: str, other: str, floor: str
) -> Row:
    """A row whose ratio compares what two contenders take above a third, round by round."""
    ratios = [(a - z) / (b - z) for a, b, z in zip(values[ours], values[other], values[floor], strict=True)]
    return Row(name, unit, values, ratios, f"{ours} / {other}, each above {floor}")

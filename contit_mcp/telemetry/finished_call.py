"""What is counted of a tool call once it is over."""

from dataclasses import dataclass

from contit_mcp.telemetry.call_stats import CallStats


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """What counts of a call.

    Attributes:
        tool: Its name.
        outcome: The result's status, the error's class, or "cancelled".
        seconds: How long it took.
        stats: The counters of the call.
        trace_id: By which it is found in logs and traces.
    """

    tool: str
    outcome: str
    seconds: float
    stats: CallStats
    trace_id: str | None

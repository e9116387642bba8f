"""How long a call may wait for an answer, by who hosts the caller.

Measured ceilings of tool calls, each with a margin. A wait that outlives its host loses the answer; one
that ends too early costs a model turn. docs/hosts.md says how each was measured.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostWait:
    """Seconds. `usual`: without a wish of the caller; `ceiling`: what a wish is cut down to."""

    usual: float
    ceiling: float


_PATIENT = HostWait(usual=240.0, ceiling=240.0)
_ORDINARY = HostWait(usual=45.0, ceiling=50.0)
_NAMED_UNKNOWN = HostWait(usual=45.0, ceiling=float("inf"))
_NAMELESS = HostWait(usual=25.0, ceiling=float("inf"))

_BY_NAME = {
    "claude-code": _PATIENT,  # 300 s idle over HTTP, longer over stdio
    "codex-mcp-client": _PATIENT,  # 300 s
    "gemini-cli-mcp-client": _PATIENT,  # 600 s
    "continue-cli-client": _ORDINARY,  # 60 s
    "continue-client": _ORDINARY,
    "inspector-cli": _ORDINARY,  # 60 s
    "mcp": _NAMELESS,  # the SDK's default name: LlamaIndex stops at 30 s and says no other
}


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How a call's wait is chosen.

    Attributes:
        operator_seconds: The operator's setting; it replaces the table of hosts.
        longest: The longest wait a caller can wish for; no less than the operator's own.
    """

    operator_seconds: float | None = None
    longest: float = 240.0

    def seconds(self, wished: float | None, *, host: str | None) -> float:
        """The wait of one call, in seconds. A wish is clamped, never refused.

        Args:
            wished: `wait_seconds` of the call.
            host: The name in `clientInfo`, where there is one.
        """
        known = self._for_host(host)
        longest = max(self.longest, self.operator_seconds or 0.0)
        if wished is None:
            return min(known.usual, longest)
        return max(0.0, min(wished, known.ceiling, longest))

    def _for_host(self, host: str | None) -> HostWait:
        if self.operator_seconds is not None:
            return HostWait(usual=self.operator_seconds, ceiling=float("inf"))
        if host is None or not host.strip():
            return _NAMELESS
        return _BY_NAME.get(host.strip().casefold(), _NAMED_UNKNOWN)

"""Choose how long a call waits for an answer, by the name of its host.

The table has measured limits of tool calls, each less a margin. A wait beyond the host's limit loses the answer; a
short one costs a model turn. docs/hosts.md says how each was measured.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostWait:
    """Seconds: the `usual` wait, and the `ceiling` to which a longer `wait_seconds` is clamped."""

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

_LIBRARIES = frozenset({
    "aiohttp", "axios", "bun", "curl", "deno", "go-http-client", "got", "guzzlehttp", "java", "java-http-client",
    "mozilla", "node", "node-fetch", "okhttp", "python", "python-httpx", "python-httpx2", "python-requests",
    "python-urllib", "reactor-netty", "reqwest", "ruby", "rmcp", "undici", "wget",
})  # fmt: skip
"""Products of User-Agents that name an HTTP library and not a host, so that the host's limit is unknown."""

_PRODUCT = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+)(?:/([^\s;,()]+))?", re.ASCII)


def read_user_agent(text: str) -> tuple[str, str]:
    """Return the first product of a User-Agent and its version, as in `claude-code/2.1.330 (cli)`; "" if missing."""
    found = _PRODUCT.match(text)
    return (found[1], found[2] or "") if found else ("", "")


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """The rule for the wait of a call.

    Attributes:
        operator_seconds: The operator's setting; it replaces the table of hosts.
        longest: The longest `wait_seconds` that a caller can pass; at least the operator's own.
    """

    operator_seconds: float | None = None
    longest: float = 240.0

    def seconds(self, wished: float | None, *, host: str | None) -> float:
        """Return the wait of one call in seconds. A longer `wait_seconds` is clamped, never refused.

        Args:
            wished: `wait_seconds` of the call.
            host: The name in `clientInfo`, or the product of the User-Agent, where there is one.
        """
        known = self._for_host(host)
        longest = max(self.longest, self.operator_seconds or 0.0)
        if wished is None:
            return min(known.usual, longest)
        return max(0.0, min(wished, known.ceiling, longest))

    def _for_host(self, host: str | None) -> HostWait:
        if self.operator_seconds is not None:
            return HostWait(usual=self.operator_seconds, ceiling=float("inf"))
        name = (host or "").strip().casefold()
        if not name or name in _LIBRARIES:
            return _NAMELESS
        return _BY_NAME.get(name, _NAMED_UNKNOWN)

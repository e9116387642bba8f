"""How long a call waits for an answer, by its host.

A wait beyond the host's limit loses the answer; one that ends early costs the model another call. The table has the
measured limits of tool calls, each less a margin; docs/hosts.md says how each was measured.
"""

import re
from dataclasses import dataclass

# In seconds: the usual wait, and the ceiling of `wait_seconds`. A host that is not in the table is _NAMED_UNKNOWN.
_PATIENT, _ORDINARY = (240.0, 240.0), (45.0, 50.0)
_NAMED_UNKNOWN, _NAMELESS = (45.0, float("inf")), (25.0, float("inf"))
_BY_NAME = {
    "claude-code": _PATIENT,  # 300 s idle over HTTP, longer over stdio
    "codex-mcp-client": _PATIENT,  # 300 s
    "gemini-cli-mcp-client": _PATIENT,  # 600 s
    "continue-cli-client": _ORDINARY,  # 60 s
    "continue-client": _ORDINARY,
    "inspector-cli": _ORDINARY,  # 60 s
    "mcp": _NAMELESS,  # the SDK's default name; of the hosts that keep it, LlamaIndex stops at 30 s
    "": _NAMELESS,
}

_LIBRARIES = frozenset({  # User-Agents that name no host, so that the host's limit is unknown
    "aiohttp", "axios", "bun", "curl", "deno", "go-http-client", "got", "guzzlehttp", "java", "java-http-client",
    "mozilla", "node", "node-fetch", "okhttp", "python", "python-httpx", "python-httpx2", "python-requests",
    "python-urllib", "reactor-netty", "reqwest", "ruby", "rmcp", "undici", "wget",
})  # fmt: skip

_PRODUCT = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+)(?:/([^\s;,()]+))?", re.ASCII)


def read_user_agent(text: str) -> tuple[str, str]:
    """Return the first product of a User-Agent and its version, as in `claude-code/2.1.330 (cli)`; "" if missing."""
    found = _PRODUCT.match(text)
    return (found[1], found[2] or "") if found else ("", "")


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """The rule for the wait of a call. The operator's setting replaces the table of hosts."""

    operator_seconds: float | None = None
    longest_seconds: float = 240.0

    def seconds(self, wished: float | None, *, host: str | None) -> float:
        """Return the wait of one call in seconds. A longer `wait_seconds` is clamped, never refused."""
        name = (host or "").strip().casefold()
        usual, ceiling = _NAMELESS if name in _LIBRARIES else _BY_NAME.get(name, _NAMED_UNKNOWN)
        if self.operator_seconds is not None:
            usual, ceiling = self.operator_seconds, float("inf")
        longest = max(self.longest_seconds, self.operator_seconds or 0.0)
        return min(usual, longest) if wished is None else max(0.0, min(wished, ceiling, longest))

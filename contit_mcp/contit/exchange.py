"""One request to Contit and its answer: straight over our connections, or by httpx where a proxy stands between.

Straight, httpx's client and its models would cost more than the connection does: docs/performance.md has the numbers.
"""

import json
from collections.abc import Mapping

import httpx

from contit_mcp.contit.connections import Header
from contit_mcp.contit.responses import Answer
from contit_mcp.contit.transport import straight_connections
from contit_mcp.telemetry.call_stats import current_tally


class Exchange:
    """Sends requests to one address.

    Args:
        http: From `build_http_client`.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._base = str(http.base_url).rstrip("/")
        self._always = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in http.headers.raw]
        self._straight = straight_connections(http)

    async def send(
        self, method: str, path: str, *, body: Mapping[str, str | None] | None = None, credential: Header | None = None
    ) -> Answer:
        """Send one request; whatever the answer's status is.

        Args:
            method: Of HTTP.
            path: With its ids quoted.
            body: Sent as JSON.
            credential: The header that says who asks.

        Raises:
            HTTPX_ERRORS: No answer came, or none that can be read.
        """
        headers: list[Header] = [] if credential is None else [credential]
        content = None
        if body is not None:
            headers.append(("Content-Type", "application/json"))
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        if self._straight is None:
            return await self._http.request(method, self._base + path, headers=headers, content=content)
        return await self._go_straight(method, path, headers, content)

    async def _go_straight(self, method: str, path: str, headers: list[Header], content: bytes | None) -> Answer:
        assert self._straight is not None  # noqa: S101 - else httpx has it
        tally = current_tally()
        tally.requests += 1
        received = await self._straight.exchange(
            method, self._base + path, self._always + headers, content, timeout=self._http.timeout
        )
        answer = received.response() if "Content-Encoding" in received.headers else received
        tally.statuses[str(received.status_code)] += 1
        return answer

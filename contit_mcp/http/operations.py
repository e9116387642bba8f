"""Answer `/healthz`, `/readyz` and `/metrics`. Probes and scrapers connect by address, so any Host is accepted."""

from collections.abc import Awaitable, Callable

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from contit_mcp.telemetry.metrics import Metrics

PROBE_SECONDS = 10.0
"""How long the result of the last probe of Contit is used."""


class Readiness:
    """Whether this server takes calls: after its start and before its drain.

    Args:
        probe: Asks Contit and returns what is wrong; None if readiness does not depend on Contit.
    """

    def __init__(self, probe: Callable[[], Awaitable[str | None]] | None = None) -> None:
        self.serving = False
        self._probe = probe
        self._problem: str | None = None
        self._probed_at: float | None = None
        self._probing = anyio.Lock()

    async def problem(self) -> str | None:
        """Return why it takes no calls; None if it does."""
        if not self.serving:
            return "not serving: starting or draining"
        if self._probe is None:
            return None
        async with self._probing:
            if self._probed_at is None or anyio.current_time() - self._probed_at >= PROBE_SECONDS:
                self._problem = await self._probe()
                self._probed_at = anyio.current_time()
        return self._problem


def health_routes(readiness: Readiness) -> list[Route]:
    """Return the routes for liveness and readiness."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        problem = await readiness.problem()
        return PlainTextResponse("ok\n") if problem is None else PlainTextResponse(f"{problem}\n", 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def metrics_route(metrics: Metrics, readiness: Readiness) -> Route:
    """Return the route for the metrics."""

    async def scrape(request: Request) -> Response:
        metrics.ready.set(await readiness.problem() is None)
        content, media_type = metrics.text(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type})

    return Route("/metrics", scrape)

"""What operators' programs ask: `/healthz`, `/readyz`, `/metrics`. They come by address, so any Host may be in them."""

from collections.abc import Awaitable, Callable

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from contit_mcp.http.requests import Streams
from contit_mcp.telemetry.metrics import Metrics

PROBE_SECONDS = 10.0
"""How long what the last probe of Contit found is taken for true."""


class Readiness:
    """Whether this server takes calls: between its start and its drain.

    Args:
        probe: Asks Contit whether it is there, and says what is wrong; None where readiness is our own alone.
    """

    def __init__(self, probe: Callable[[], Awaitable[str | None]] | None = None) -> None:
        self.serving = False
        self._probe = probe
        self._problem: str | None = None
        self._probed_at: float | None = None
        self._probing = anyio.Lock()

    async def problem(self) -> str | None:
        """Why it takes no calls; None when it does."""
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
    """Liveness and readiness."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        problem = await readiness.problem()
        return PlainTextResponse("ok\n") if problem is None else PlainTextResponse(f"{problem}\n", 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def metrics_route(
    metrics: Metrics, readiness: Readiness, streams: Streams, calls_in_flight: Callable[[], int]
) -> Route:
    """The metrics; what is a state and not a count is read when they are asked for."""

    async def scrape(request: Request) -> Response:
        metrics.in_flight.set(calls_in_flight())
        metrics.under_way.labels("call").set(streams.calls)
        metrics.under_way.labels("listener").set(streams.listeners)
        metrics.ready.set(await readiness.problem() is None)
        content, media_type = metrics.text(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type})

    return Route("/metrics", scrape)

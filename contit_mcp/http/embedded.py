"""The application inside another one: it starts with its first request, and drains when its host is told to stop.

Starlette runs no lifespan of an application that is mounted, and servers tell an application of their end only after
its last response. So the first request starts a task that holds what the requests share, and signals are watched.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from contit_mcp.config.settings import Settings
from contit_mcp.http.guard import Refusal
from contit_mcp.http.serve import SHARING, WiredApp, is_loopback, refuse_unsafe, return_handles, wired_app
from contit_mcp.server.context import AppContext
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

_STRANGER = Refusal(
    403, "no_loopback", "Without authentication this server answers this machine alone; set auth, or allowed_hosts."
)


class EmbeddedApp:
    """An ASGI application, to be mounted, or to be served by itself.

    Args:
        settings: The configuration.

    Raises:
        ConfigurationError: The settings would serve strangers, or could not work.
    """

    def __init__(self, settings: Settings) -> None:
        refuse_unsafe(settings)
        AppContext(settings, sharing=SHARING[settings.auth])  # reports a seal key that cannot be used
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[WiredApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan if this is the outermost application."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._is_stranger(scope):
            await _STRANGER.response(scope)(scope, receive, send)
        else:
            app = await self._started()
            await app(scope, receive, send)

    def _is_stranger(self, scope: Scope) -> bool:
        """Return whether a request comes from another machine to a server that knows no callers.

        The host listens, and perhaps on every address; without callers, everybody would see the same runs.
        """
        client = scope.get("client")
        return self._settings.auth == "none" and client is not None and not is_loopback(client[0])

    async def _started(self) -> ASGIApp:
        """Return the application of this event loop, and start it with the first request."""
        loop = asyncio.get_running_loop()
        if self._opened is None or self._opened.get_loop() is not loop or self._task is None or self._task.done():
            self._opened = loop.create_future()
            self._task = loop.create_task(self._run(self._opened))
        return (await asyncio.shield(self._opened)).app

    async def _run(self, opened: "asyncio.Future[WiredApp]") -> None:
        """Hold what the requests share until the event loop ends, which cancels this."""
        try:
            async with wired_app(self._settings) as app:
                with _signals_watched() as stopping:
                    app.parts.readiness.serving = True
                    opened.set_result(app)
                    tell_host = await stopping
                log.info("server.stopping", calls_in_flight=app.context.calls_in_flight)
                await return_handles(app.context, app.parts)
                app.parts.in_flight.end()
                tell_host()
                await asyncio.Event().wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._started()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def _signals_watched() -> Iterator["asyncio.Future[Callable[[], Any]]"]:
    """Yield what is done when SIGTERM or SIGINT asks the host to stop: its result calls the host's own handler.

    The host is told after the drain: sse-starlette, for one, cuts streams as soon as uvicorn's handler runs. Where the
    host has no handler, or this is not the main thread, nothing is watched. A second signal reaches the host at once.
    """
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[Callable[[], Any]] = loop.create_future()
    before: dict[int, Callable[[int, Any], Any]] = {}

    def on_signal(number: int, frame: Any) -> None:
        restore()
        loop.call_soon_threadsafe(stopping.set_result, partial(before[number], number, frame))

    def restore() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)

    with suppress(ValueError):  # not the main thread, in which signals arrive
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if callable(handler):
                signal.signal(number, on_signal)
                before[number] = handler
    try:
        yield stopping
    finally:
        restore()

"""The application inside another one: it starts with its first request, and drains when its host is told to stop.

Starlette runs no lifespan of an application that is mounted, and servers tell an application of their end only after
its last response. So the first request starts a task that holds what the requests share, and signals are watched.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sse_starlette.sse import AppStatus
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

_draining: set[object] = set()
"""The applications of this process that drain: streams must not be cut before the last of them is done."""


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

        The host listens, and perhaps on every address. With `allowed_hosts` the operator has decided who may call.
        """
        client = scope.get("client")
        open_to_all = self._settings.auth != "none" or self._settings.allowed_hosts
        return not (open_to_all or client is None or is_loopback(client[0]))

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
                stopping = asyncio.Event()
                with _watched(stopping.set):
                    app.parts.readiness.serving = True
                    opened.set_result(app)
                    await stopping.wait()
                    await self._drain(app)
                await asyncio.Event().wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    async def _drain(self, app: WiredApp) -> None:
        _draining.add(self)
        AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
        try:
            log.info("server.stopping", calls_in_flight=app.context.calls_in_flight)
            await return_handles(app.context, app.parts)
            app.parts.in_flight.end()
        finally:
            _draining.discard(self)
            if not _draining:  # now sse-starlette may end the streams of the host
                AppStatus.enable_automatic_graceful_drain_mode()  # type: ignore[no-untyped-call]

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
def _watched(on_stop: Callable[[], Any]) -> Iterator[None]:
    """While inside, call `on_stop` when the host is asked to stop by SIGTERM or SIGINT, before the host learns of it.

    The host's own handler is called as well. Where the host has none, or this is not the main thread, nothing is done.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, Any], Any]] = {}

    def on_signal(number: int, frame: Any) -> None:
        restore()
        # Else sse-starlette would cut the streams before they have carried the handles.
        AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
        loop.call_soon_threadsafe(on_stop)
        before[number](number, frame)

    def restore() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if callable(handler):
                signal.signal(number, on_signal)
                before[number] = handler
    except ValueError:  # not the main thread, in which signals arrive
        before.clear()
    try:
        yield
    finally:
        restore()

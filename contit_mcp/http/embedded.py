"""The application inside an outer one: it starts with its first request, and drains at a signal.

Starlette runs no lifespan of an application that is mounted, and servers tell an application of their end only after
its last response. So the first request starts a task, which keeps open what the requests share and watches signals.
"""

import asyncio
import signal
import threading

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from contit_mcp.config.settings import Settings
from contit_mcp.http.app import WiredApp, wired_app
from contit_mcp.http.guard import Refusal
from contit_mcp.http.serve import first_signal, is_loopback, refuse_unsafe
from contit_mcp.server.context import AppContext

_STRANGER = Refusal(
    403, "no_loopback", "Without authentication this server answers this machine alone; its operator can set auth."
)


class EmbeddedApp:
    """An ASGI application, to be mounted, or to be served by itself; `refuse_unsafe` judges the settings."""

    def __init__(self, settings: Settings) -> None:
        refuse_unsafe(settings)
        AppContext(settings, auth=settings.auth).services().http_client()  # reports an unusable seal key or CA file
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[WiredApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of an outermost application; close a WebSocket."""
        client = scope.get("client")
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
        elif self._settings.auth == "none" and client is not None and not is_loopback(client[0]):
            # The outer application may listen on every address, and all machines would see the same runs.
            await _STRANGER(scope, receive, send)
        else:
            app = await self._started()
            await app(scope, receive, send)

    async def _started(self) -> ASGIApp:
        loop = asyncio.get_running_loop()
        if self._opened is None or self._opened.get_loop() is not loop or self._task is None or self._task.done():
            self._opened = loop.create_future()
            self._task = loop.create_task(self._run(self._opened))
        return (await asyncio.shield(self._opened)).app

    async def _run(self, opened: "asyncio.Future[WiredApp]") -> None:
        # Without a handler of the outer application, or off the main thread, no signal is watched.
        main = threading.current_thread() is threading.main_thread()
        ends = [number for number in (signal.SIGTERM, signal.SIGINT) if main and callable(signal.getsignal(number))]
        try:
            async with wired_app(self._settings) as wired:
                with first_signal(*ends) as stopping:
                    wired.readiness.serving = True
                    opened.set_result(wired)
                    cause = await stopping
                await wired.drain(cause)
                # The outer application gets the signal after the drain: sse-starlette, for one, cuts streams at once.
                signal.raise_signal(cause)
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
            await asyncio.wait({self._task})
        await send({"type": "lifespan.shutdown.complete"})

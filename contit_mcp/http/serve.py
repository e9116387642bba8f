"""Serve the application until a signal, then drain: every waiting call returns its handle, and the exit code is 0."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from contit_mcp.config.settings import Settings, split_list
from contit_mcp.errors import ConfigurationError
from contit_mcp.http.app import HttpParts
from contit_mcp.http.requests import SEND_SECONDS
from contit_mcp.server.context import AppContext
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

DRAIN_SECONDS = 3.3
"""For calls in flight to return their handles: their waits end at once, a start being sent within 2 s."""

CLOSING_SECONDS = 1
"""For clients to read what was sent, before their connections are closed."""

EXIT_SECONDS = 4.8
"""From the signal to the end of the process in any case: a store that hangs may keep its connections from closing."""

HEAD_BYTES = 65_536
"""Limit for a request's target and headers together."""


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals alone: uvicorn would raise them again and end with their number."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class Signals:
    """The first SIGTERM, SIGINT or SIGHUP asks for a drain; a second one ends the process at once.

    Attributes:
        cause: The name of the first one; empty until it comes.
    """

    def __init__(self) -> None:
        self.cause = ""

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle them while inside."""
        numbers = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        # A signal that is ignored stays ignored: `nohup` asks for that.
        numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        # This interrupts whatever runs, so it only takes a note, and works without the event loop.
        if self.cause:
            os._exit(128 + number)
        self.cause = signal.Signals(number).name
        watchdog = threading.Timer(EXIT_SECONDS, os._exit, [0])
        watchdog.daemon = True
        watchdog.start()


async def serve_http(
    app: ASGIApp, settings: Settings, context: AppContext, parts: HttpParts, *, metrics_app: ASGIApp | None = None
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain.

    Raises:
        ConfigurationError: The address cannot be listened on, or the TLS files cannot be used.
    """
    # sse-starlette would cut event streams short as soon as a signal comes.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    logging.getLogger("uvicorn.error").addFilter(_is_no_cut_response)
    apps = [(app, settings.port)]
    if metrics_app is not None and settings.metrics_port is not None:
        apps.append((metrics_app, settings.metrics_port))
    sockets = [_bind(settings.host, port) for _, port in apps]
    listeners = [Listener(_config(each, settings)) for each, _ in apps]
    signals = Signals()

    async def drain() -> None:
        while not signals.cause:
            await anyio.sleep(0.05)
        log.info("server.stopping", cause=signals.cause, calls_in_flight=context.calls_in_flight)
        await return_handles(context, parts)
        for listener in listeners:
            listener.should_exit = True
        parts.in_flight.end()

    with signals.handled():
        async with anyio.create_task_group() as tasks:
            for listener, bound in zip(listeners, sockets, strict=True):
                tasks.start_soon(listener.serve, [bound])
            tasks.start_soon(drain)
            while not all(listener.started for listener in listeners):
                await anyio.sleep(0.01)
            parts.readiness.serving = not signals.cause
            log.info(
                "server.listening",
                url=_url(settings, sockets[0]),
                metrics_port=sockets[-1].getsockname()[1],
                auth=settings.auth,
            )
    log.info("server.stopped")


async def return_handles(context: AppContext, parts: HttpParts) -> None:
    """Take no new calls, and end the waits of those in flight, so that they return their handles."""
    parts.readiness.serving = False
    parts.in_flight.draining = True
    context.close()
    with anyio.move_on_after(DRAIN_SECONDS):
        while parts.in_flight:
            await anyio.sleep(0.02)


def _is_no_cut_response(record: logging.LogRecord) -> bool:
    """Return whether a record is not about a response that was cut: of a slow reader, or at the end of a drain."""
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False
    return not str(record.msg).startswith(("ASGI callable returned without", "Cancel %s running task"))


def _url(settings: Settings, bound: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http{'s' * (settings.tls_cert_file is not None)}://{host}:{bound.getsockname()[1]}/mcp"


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host.strip("[]"), port), family=family, backlog=2_048)
    except OSError as exc:
        raise ConfigurationError(
            f"This server cannot listen on {host} port {port}: {exc.strerror or type(exc).__name__}.",
            hint="Choose another with CONTIT_MCP_HOST and CONTIT_MCP_PORT.",
        ) from exc
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # `Requests` ends the request of a client that does not read; its connections inherit this, which closes them.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SEND_SECONDS * 1_000))
    return bound


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    proxies = split_list(settings.trusted_proxies)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # ours is one structured line a request
        server_header=False,
        lifespan="off",
        ws="none",
        http="h11",  # docs/security.md compares the parsers
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        ssl_certfile=settings.tls_cert_file,
        ssl_keyfile=settings.tls_key_file,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=65,  # longer than the 60 s of common load balancers, so that they close first
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )
    try:
        config.load()
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            "The TLS certificate or key cannot be used.",
            hint="Check CONTIT_MCP_TLS_CERT_FILE and CONTIT_MCP_TLS_KEY_FILE: two PEM files that belong together.",
        ) from exc
    return config

"""Serves the application until a signal, and then drains: handles for everyone who waits, exit code 0."""

import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import anyio
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from contit_mcp.config.settings import Settings
from contit_mcp.config.settings_http import split_list
from contit_mcp.errors import ConfigurationError
from contit_mcp.http.app import HttpParts
from contit_mcp.server.bridge import Bridge
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

DRAIN_SECONDS = 3.5
"""For calls in flight to return their handles: their waits end at once, a start being sent within 2 s."""

CLOSING_SECONDS = 1
"""For clients to take in what was sent, before their connections are closed. All of it has to end within 5 s."""


class Listener(uvicorn.Server):
    """One uvicorn server whose signals are ours."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Not uvicorn's way, which would raise the signal again and so end with its number."""
        self._on_signal(sig)


async def serve_http(
    app: ASGIApp, settings: Settings, bridge: Bridge, parts: HttpParts, *, metrics_app: ASGIApp | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal ends the process at once.

    Raises:
        ConfigurationError: The address is taken or cannot be listened on, or the TLS files cannot be used.
    """
    # sse-starlette would cut event streams short as soon as a signal comes.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    stop = anyio.Event()
    cause = ""

    def on_signal(number: int) -> None:
        # Whatever runs at the moment is interrupted by this, so it only takes a note.
        nonlocal cause
        if stop.is_set():
            os._exit(128 + number)  # whoever sends two does not want to wait for anything
        cause = signal.Signals(number).name
        stop.set()

    apps = [(app, settings.port)]
    if metrics_app is not None and settings.metrics_port is not None:
        apps.append((metrics_app, settings.metrics_port))
    sockets = [_bind(settings.host, port) for _, port in apps]
    listeners = [Listener(_config(each, settings), on_signal) for each, _ in apps]

    async def drain() -> None:
        await stop.wait()
        log.info("server.stopping", cause=cause, calls_in_flight=bridge.calls_in_flight)
        parts.readiness.serving = False
        parts.streams.draining = True
        parts.streams.end_listeners()
        bridge.close()
        with anyio.move_on_after(DRAIN_SECONDS):
            while parts.streams.calls:
                await anyio.sleep(0.02)
        for listener in listeners:
            listener.should_exit = True
        parts.streams.end()

    with listeners[0].capture_signals():
        async with anyio.create_task_group() as tasks:
            for listener, bound in zip(listeners, sockets, strict=True):
                tasks.start_soon(listener._serve, [bound])  # noqa: SLF001 - serve() would take the signals again
            tasks.start_soon(drain)
            while not all(listener.started for listener in listeners):
                await anyio.sleep(0.01)
            parts.readiness.serving = not stop.is_set()
            log.info(
                "server.listening",
                url=_url(settings, sockets[0]),
                metrics_port=sockets[-1].getsockname()[1],
                auth=settings.auth,
            )
    log.info("server.stopped")


def _url(settings: Settings, bound: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http{'s' * (settings.tls_cert_file is not None)}://{host}:{bound.getsockname()[1]}/mcp"


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=2_048)
    except OSError as exc:
        raise ConfigurationError(
            f"This server cannot listen on {host} port {port}: {exc.strerror or type(exc).__name__}.",
            hint="Choose another with CONTIT_MCP_HOST and CONTIT_MCP_PORT.",
        ) from exc


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    proxies = split_list(settings.trusted_proxies)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # ours is one structured line a request
        server_header=False,
        lifespan="on",
        ws="none",
        http=_protocol(),
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        ssl_certfile=settings.tls_cert_file,
        ssl_keyfile=settings.tls_key_file,
        h11_max_incomplete_event_size=65_536,
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


def _protocol() -> str:
    """The fast parser where the extra `server` brought it, with a limit that it has not of its own."""
    try:
        import httptools  # noqa: F401, PLC0415 - optional
    except ImportError:
        return "h11"
    return "contit_mcp.http.bounded_protocol:BoundedHttpToolsProtocol"

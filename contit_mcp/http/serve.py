"""Serve MCP over HTTP: refuse settings that are not safe, listen until a signal, then drain with exit code 0."""

import asyncio
import ctypes
import ipaddress
import logging
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import anyio
import httpx
import uvicorn
from starlette.routing import Router
from starlette.types import ASGIApp

from contit_mcp.config.settings import Settings, split_list
from contit_mcp.errors import ConfigurationError
from contit_mcp.http.app import SEND_SECONDS, WiredApp, operator_routes, wired_app
from contit_mcp.server.services import NAMED_MODES, configured_credential
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

REFUSING_SECONDS = 0.2  # in which requests that are on their way are refused, before the listening socket is closed
CLOSING_SECONDS = 1  # for clients to read what was sent, before their connections are closed
EXIT_SECONDS = 4.8  # from the signal to the end of the process, even if a store hangs
BACKLOG = 2_048  # limit for connections that the system has accepted and this process has not
HEAD_BYTES = 65_536  # limit for a request's target and headers together
_SO_ATTACH_FILTER = 26  # of Linux; the module `socket` does not name it


def refuse_unsafe(settings: Settings, *, sandbox: bool = False) -> None:
    """Raise a ConfigurationError for settings that would serve strangers, or that could not work."""
    auth = settings.auth
    shared = settings.store_location().kind == "redis"
    sealing = "A Redis store" if shared else f"CONTIT_MCP_AUTH={auth}"
    for_jwt = (("JWT_ISSUER", settings.jwt_issuer), ("PUBLIC_URL", settings.public_url))
    missing = next((name for name, value in for_jwt if value is None), None)
    problems = (  # found, message, hint
        (
            auth == "none" and not is_loopback(settings.host),
            f"Without authentication this server listens on this machine alone, not on {settings.host}.",
            "Set CONTIT_MCP_AUTH to token, jwt or caller (contit-mcp settings), or CONTIT_MCP_HOST=127.0.0.1.",
        ),
        (
            auth != "token" and bool(settings.tokens or settings.tokens_file),
            f"There are tokens of callers, but CONTIT_MCP_AUTH is {auth}, which does not ask for them.",
            "Set CONTIT_MCP_AUTH=token, or unset CONTIT_MCP_TOKENS and CONTIT_MCP_TOKENS_FILE.",
        ),
        (
            auth == "token" and not settings.caller_tokens(),
            "CONTIT_MCP_AUTH is token, and there are no tokens.",
            "Set CONTIT_MCP_TOKENS=name:token, with a token from: openssl rand -hex 32",
        ),
        (
            auth == "jwt" and missing is not None,
            f"CONTIT_MCP_AUTH is jwt, and CONTIT_MCP_{missing} is not set.",
            "Set it: clients learn from this server where to get a token for it.",
        ),
        (
            (shared or auth in NAMED_MODES) and not settings.seal_keys(),
            f"{sealing} needs a seal key, which all replicas share, so that each can open the others' handles.",
            "Set CONTIT_MCP_SEAL_KEY, the same on all replicas, made with: openssl rand -hex 32",
        ),
        (
            (settings.tls_cert_file is None) != (settings.tls_key_file is None),
            "CONTIT_MCP_TLS_CERT_FILE and CONTIT_MCP_TLS_KEY_FILE belong together.",
            "Set both, or none.",
        ),
    )
    for found, message, hint in problems:
        if found:
            raise ConfigurationError(message, hint=hint)
    if auth != "caller" and not sandbox:
        configured_credential(settings)


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine alone. Of names, only `localhost` is."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals alone: uvicorn would raise them again and end with their number.

    sse-starlette hooks uvicorn's handler of signals to cut event streams short. That handler never runs here.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave all signals to `first_signal`."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse the requests that are still on their way, and then close all connections.

        The system resets connections that this process has not accepted when their listening socket is closed, and
        the requests on them are lost. So first no connection is opened any more, while the open ones are accepted.
        """
        for listening in sockets or []:
            _open_no_more_connections(listening)
        await asyncio.sleep(REFUSING_SECONDS)
        await super().shutdown(sockets)


def _open_no_more_connections(listening: socket.socket) -> None:
    """Let Linux drop each SYN to a listening socket. The client repeats it after 1 s and is then refused.

    On other systems, a request that arrives while the socket is closed can be lost.
    """
    drop_syn = (  # a program in classic BPF: operation, jump if true, jump if false, operand
        (0x30, 0, 0, 13),  # load the byte of the TCP header that has the flags
        (0x45, 0, 1, 0x02),  # if SYN is not set, skip the next instruction
        (0x06, 0, 0, 0),  # drop the segment
        (0x06, 0, 0, 0xFFFFFFFF),  # keep the segment
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in drop_syn))
    if sys.platform == "linux":
        with suppress(OSError):  # a container runtime may not allow filters
            program = struct.pack("HP", len(drop_syn), ctypes.addressof(code))
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


@contextmanager
def first_signal(
    *numbers: signal.Signals, exit_seconds: float | None = None
) -> Iterator["asyncio.Future[signal.Signals]"]:
    """Yield a future of the first of these signals. When it comes, the handlers from before are back.

    The process ends with code 0 within `exit_seconds` of it, even if the event loop is too busy to notice it.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: int, _: FrameType | None) -> None:
        restore()
        if exit_seconds is not None:
            watchdog = threading.Timer(exit_seconds, os._exit, [0])
            watchdog.daemon = True
            watchdog.start()
        loop.call_soon_threadsafe(found.set_result, signal.Signals(number))

    def restore() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, on_signal)
    try:
        yield found
    finally:
        restore()


async def serve_http(
    settings: Settings,
    transport: httpx.AsyncBaseTransport | None = None,
    probe: bool = False,  # noqa: FBT001, FBT002 - anyio.run passes by position
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain. `wired_app` and `listen` say more."""
    async with wired_app(settings, transport, probe=probe) as wired:
        await listen(wired, settings)


async def listen(wired: WiredApp, settings: Settings) -> None:
    """Serve an application until SIGTERM, SIGINT or SIGHUP, then drain; raise a ConfigurationError if it cannot.

    A drain: `/readyz` is 503, new calls are refused, and calls in flight return their ids (`WiredApp.drain`). Then
    `Listener` stops listening, refuses what is on its way, and closes the connections. All within EXIT_SECONDS.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_unexpected)
    apps = [(wired.app, settings.port)]
    if settings.metrics_port is not None:
        apps.append((Router(operator_routes(wired.readiness, wired.metrics)), settings.metrics_port))
    listeners = [Listener(_config(app, settings)) for app, _ in apps]
    sockets = [_bind(settings.host, port) for _, port in apps]
    ends = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # A signal that is ignored stays ignored: `nohup` asks for that.
    ends = [number for number in ends if signal.getsignal(number) is not signal.SIG_IGN]
    with first_signal(*ends, exit_seconds=EXIT_SECONDS) as stopping:
        async with anyio.create_task_group() as group:
            for listener, bound in zip(listeners, sockets, strict=True):
                group.start_soon(listener.serve, [bound])
            while not all(listener.started for listener in listeners):
                await anyio.sleep(0.01)
            wired.readiness.serving = True
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            url = f"http{'s' * (settings.tls_cert_file is not None)}://{host}:{sockets[0].getsockname()[1]}/mcp"
            log.info("server.listening", url=url, metrics_port=sockets[-1].getsockname()[1], auth=settings.auth)
            await wired.drain(await stopping)
            for listener in listeners:
                listener.should_exit = True
    log.info("server.stopped")


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Return False for a record about a response that we cut: of a slow reader, or at the end of a drain."""
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False
    return not str(record.msg).startswith(("ASGI callable returned without", "Cancel %s running task"))


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise ConfigurationError(
            f"This server cannot listen on {host} port {port}: {str(exc.strerror).partition(' (while')[0]}.",
            hint="Choose another with --port, or CONTIT_MCP_HOST and CONTIT_MCP_PORT.",
        ) from exc
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # `Requests` ends the request of a slow reader. Connections inherit this option, which closes them.
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

"""Serve MCP over HTTP: from the settings to an application, which listens until a signal and then drains.

A drain ends every waiting call with its handle, and the exit code is 0.
"""

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import FrameType
from urllib.parse import urlsplit

import anyio
import httpx
import uvicorn
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.routing import Route
from starlette.types import ASGIApp

from contit_mcp.config.settings import Settings, split_list
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.errors import APIStatusError, AuthenticationError, ConfigurationError, ContitError, NotFoundError
from contit_mcp.http.app import HttpParts, Readiness, create_app, create_metrics_app, create_sessions
from contit_mcp.http.auth import Identify, JwtTokens, StaticTokens, anyone, own_credential
from contit_mcp.http.guard import LOOPBACK_HOSTS, LOOPBACK_ORIGINS, SEND_SECONDS, GuardPolicy
from contit_mcp.http.jwks import LARGEST_DOCUMENT, IssuerKeys
from contit_mcp.http.rate import RequestRate
from contit_mcp.runs.opening import schema_version
from contit_mcp.server.context import AppContext
from contit_mcp.server.request_state import Sharing
from contit_mcp.server.server import create_server
from contit_mcp.server.services import configured_credential
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

SHARING = {
    "none": Sharing.ONE_CALLER,
    "token": Sharing.BY_PRINCIPAL,
    "jwt": Sharing.BY_PRINCIPAL,
    "caller": Sharing.BY_CREDENTIAL,
}

_METADATA = "/.well-known/oauth-protected-resource"


def refuse_unsafe(settings: Settings, *, sandbox: bool = False) -> None:
    """Refuse settings that would serve strangers, or that could not work.

    Raises:
        ConfigurationError: It says what to set.
    """
    if settings.auth == "none" and not is_loopback(settings.host):
        raise ConfigurationError(
            f"Without authentication this server listens on this machine alone, not on {settings.host}.",
            hint="Set CONTIT_MCP_AUTH to token, jwt or caller (contit-mcp settings), or CONTIT_MCP_HOST=127.0.0.1.",
        )
    if settings.auth != "token" and (settings.tokens or settings.tokens_file):
        raise ConfigurationError(
            f"There are tokens of callers, but CONTIT_MCP_AUTH is {settings.auth}, which does not ask for them.",
            hint="Set CONTIT_MCP_AUTH=token, or unset CONTIT_MCP_TOKENS and CONTIT_MCP_TOKENS_FILE.",
        )
    if settings.auth != "caller" and not sandbox:
        configured_credential(settings)
    if settings.auth == "token" and not settings.caller_tokens():
        raise ConfigurationError(
            "CONTIT_MCP_AUTH is token, and there are no tokens.",
            hint="Set CONTIT_MCP_TOKENS=name:token, with a token from: openssl rand -hex 32",
        )
    if settings.auth == "jwt":
        for name, value in (("JWT_ISSUER", settings.jwt_issuer), ("PUBLIC_URL", settings.public_url)):
            if value is None:
                raise ConfigurationError(
                    f"CONTIT_MCP_AUTH is jwt, and CONTIT_MCP_{name} is not set.",
                    hint="Set it: clients learn from this server where to get a token for it.",
                )
    shared = settings.store_location().kind == "redis"
    if (SHARING[settings.auth] is Sharing.BY_PRINCIPAL or shared) and not settings.seal_keys():
        what = "A Redis store" if shared else f"CONTIT_MCP_AUTH={settings.auth}"
        raise ConfigurationError(
            f"{what} needs a seal key: without a common one replicas would not understand each other's handles.",
            hint="Set CONTIT_MCP_SEAL_KEY, the same on all replicas, made with: openssl rand -hex 32",
        )
    if (settings.tls_cert_file is None) != (settings.tls_key_file is None):
        raise ConfigurationError(
            "CONTIT_MCP_TLS_CERT_FILE and CONTIT_MCP_TLS_KEY_FILE belong together.", hint="Set both, or none."
        )


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine alone. Any name but one can mean anything."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class WiredApp:
    """The application, and what the function that serves it uses of it.

    Attributes:
        app: Serves `/mcp`.
        context: The state of the tools.
        parts: State that is shared with the application.
    """

    app: ASGIApp
    context: AppContext
    parts: HttpParts


@asynccontextmanager
async def wired_app(
    settings: Settings, transport: httpx.AsyncBaseTransport | None = None, *, probe: bool = False
) -> AsyncIterator[WiredApp]:
    """Yield the application for the settings, and close its connections at the end.

    Args:
        settings: The configuration, which `refuse_unsafe` has accepted.
        transport: Replaces the network to Contit: the embedded sandbox.
        probe: Whether the tool `contit_probe` is offered too.

    Raises:
        ConfigurationError: The CA file or a seal key cannot be used.
    """
    location = settings.store_location()
    who = identification(settings)
    parts = HttpParts(Readiness(_contit_probe(settings, transport)))
    try:
        async with (
            AppContext(settings, sharing=SHARING[settings.auth], transport=transport, metrics=parts.metrics) as context,
            anyio.create_task_group() as watchers,
        ):
            context.services()  # imports what the first caller would wait for otherwise
            parts.metrics.set_build_info(store=location.kind, schema=schema_version(location))
            watchers.start_soon(context.reachability.watch)
            watchers.start_soon(parts.metrics.watch_event_loop)
            policy = http_policy(settings)
            sessions = create_sessions(create_server(context, probe=probe), policy)
            app = create_app(
                sessions,
                context,
                parts,
                identify=who.identify,
                rate=RequestRate(
                    settings.requests_per_minute, redis_url=location.url if location.kind == "redis" else None
                ),
                policy=policy,
                metadata_routes=who.routes,
                metrics_here=settings.metrics_port is None,
            )
            async with sessions.run():
                yield WiredApp(app, context, parts)
            watchers.cancel_scope.cancel()
    finally:
        if who.http is not None:
            await who.http.aclose()


def http_policy(settings: Settings) -> GuardPolicy:
    """Return what is let in, and how much of it."""
    open_to_names = settings.auth != "none"
    hosts = split_list(settings.allowed_hosts)
    if hosts and settings.public_url:
        hosts.append(urlsplit(settings.public_url).netloc)
    origins = split_list(settings.allowed_origins)
    return GuardPolicy(
        hosts=hosts or (None if open_to_names else LOOPBACK_HOSTS),
        origins=origins or (() if open_to_names else LOOPBACK_ORIGINS),
        largest_body=settings.max_body_bytes,
        per_caller=settings.calls_per_caller,
        at_once=settings.calls_at_once,
    )


@dataclass(frozen=True, slots=True)
class Identification:
    """Who may call.

    Attributes:
        identify: The mode.
        routes: Where clients learn how to get a token.
        http: A client that is to be closed at the end.
    """

    identify: Identify
    routes: list[Route]
    http: httpx.AsyncClient | None = None


def identification(settings: Settings) -> Identification:
    """Return the mode that is configured.

    Raises:
        ConfigurationError: The CA file cannot be used.
    """
    match settings.auth:
        case "token":
            return Identification(StaticTokens(settings.caller_tokens), [])
        case "caller":
            return Identification(own_credential, [])
        case "jwt":
            return _jwt(settings)
        case "none":
            return Identification(anyone, [])


def _jwt(settings: Settings) -> Identification:
    from mcp.server.auth.routes import (  # noqa: PLC0415 - start-up time: this mode alone needs them
        build_resource_metadata_url,
        create_protected_resource_routes,
    )

    assert settings.jwt_issuer is not None  # noqa: S101 - refuse_unsafe has seen to it
    assert settings.public_url is not None  # noqa: S101
    # Clients compare both letter by letter (RFC 9728, 3.3; RFC 8414, 3.3), so no slash is put at their ends.
    as_written = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True)).validate_python
    resource, issuer = as_written(settings.public_url), as_written(settings.jwt_issuer)
    advertised = settings.scopes_to_request()
    http = build_http_client("", policy=TransportPolicy(body_bytes=LARGEST_DOCUMENT), ca_file=settings.ca_file)
    tokens = JwtTokens(
        IssuerKeys(settings.jwt_issuer, http, jwks_url=settings.jwt_jwks_url),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience or settings.public_url,
        required_scopes=split_list(settings.jwt_scopes),
        advertised_scopes=advertised,
        metadata_url=str(build_resource_metadata_url(resource)),
        header=settings.jwt_header,
    )
    [route] = create_protected_resource_routes(resource, [issuer], advertised, resource_name="Contit Assistant")
    # Clients look below the path first and then at the root (MCP authorization). A proxy may have changed the path.
    paths = dict.fromkeys((route.path, f"{_METADATA}/mcp", _METADATA))
    routes = [Route(path, route.endpoint, methods=["GET", "OPTIONS"]) for path in paths]
    return Identification(tokens, routes, http)


def _contit_probe(
    settings: Settings, transport: httpx.AsyncBaseTransport | None
) -> Callable[[], Awaitable[str | None]] | None:
    """Return what asks Contit whether it is there, if the operator wants readiness to depend on it."""
    if not settings.ready_probes_contit:
        return None

    async def probe() -> str | None:
        async with build_http_client(settings.base_url, ca_file=settings.ca_file, transport=transport) as http:
            try:
                await ContitClient(http, read_seconds=3.0).run_status("contit-mcp-probe", "contit-mcp-probe")
            except (NotFoundError, AuthenticationError):
                return None  # it is there; calls report a refused credential
            except APIStatusError as error:
                return f"Contit answers {error.status_code}"
            except ContitError as error:
                return error.message
        return None

    return probe


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals alone: uvicorn would raise them again and end with their number.

    sse-starlette hooks uvicorn's handler of signals to cut event streams short. It never runs here.
    """

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
    settings: Settings,
    transport: httpx.AsyncBaseTransport | None = None,
    probe: bool = False,  # noqa: FBT001, FBT002 - anyio.run passes by position
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain. `wired_app` describes the arguments.

    Raises:
        ConfigurationError: The address cannot be listened on, or a file of the settings cannot be used.
    """
    async with wired_app(settings, transport, probe=probe) as wired:
        await listen(wired, settings)


async def listen(wired: WiredApp, settings: Settings) -> None:
    """Serve an application until SIGTERM, SIGINT or SIGHUP, then drain.

    Raises:
        ConfigurationError: The address cannot be listened on, or the TLS files cannot be used.
    """
    context, parts = wired.context, wired.parts
    logging.getLogger("uvicorn.error").addFilter(_is_no_cut_response)
    apps = [(wired.app, settings.port)]
    if settings.metrics_port is not None:
        apps.append((create_metrics_app(parts), settings.metrics_port))
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
            hint="Choose another with --port, or CONTIT_MCP_HOST and CONTIT_MCP_PORT.",
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

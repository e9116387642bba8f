"""From the settings to the parts of the HTTP server; and what no deployment should start with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import httpx
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.routing import Route
from starlette.types import ASGIApp

from contit_mcp.config.settings import Settings, split_list
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.errors import APIStatusError, AuthenticationError, ConfigurationError, ContitError, NotFoundError
from contit_mcp.http.app import HttpParts, create_app, create_sessions
from contit_mcp.http.auth import Identify, JwtTokens, StaticTokens, anyone, own_credential
from contit_mcp.http.guard import LOOPBACK_HOSTS, LOOPBACK_ORIGINS, GuardPolicy, RequestRate, is_loopback
from contit_mcp.http.jwks import LARGEST_DOCUMENT, IssuerKeys
from contit_mcp.http.operations import Readiness
from contit_mcp.runs.opening import schema_version
from contit_mcp.server.context import AppContext, open_context
from contit_mcp.server.request_state import Sharing
from contit_mcp.server.server import create_server
from contit_mcp.server.services import configured_credential

SHARING = {
    "none": Sharing.ONE_CALLER,
    "token": Sharing.BY_PRINCIPAL,
    "jwt": Sharing.BY_PRINCIPAL,
    "caller": Sharing.BY_CREDENTIAL,
}


@dataclass(frozen=True, slots=True)
class OpenedApp:
    """The application, ready to serve, and what it shares with the function that serves it."""

    app: ASGIApp
    context: AppContext
    parts: HttpParts


@asynccontextmanager
async def open_app(
    settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None, probe: bool = False
) -> AsyncIterator[OpenedApp]:
    """Build the application, and close its connections at the end.

    Args:
        settings: The configuration, which `refuse_unsafe` has accepted.
        transport: Replaces the network: the embedded sandbox.
        probe: Offer `contit_probe` too.
    """
    who = identification(settings)
    parts = HttpParts(Readiness(contit_probe(settings, transport)))
    policy = http_policy(settings)
    try:
        async with (
            open_context(
                settings, sharing=SHARING[settings.auth], transport=transport, metrics=parts.metrics
            ) as context,
            anyio.create_task_group() as watchers,
        ):
            context.services()  # imports what the first caller would wait for otherwise
            location = settings.store_location()
            parts.metrics.set_build_info(store=location.kind, schema=schema_version(location))
            watchers.start_soon(context.reachability.watch)
            watchers.start_soon(parts.metrics.watch_event_loop)
            sessions = create_sessions(create_server(context, probe=probe), policy)
            app = create_app(
                sessions,
                context,
                parts,
                identify=who.identify,
                rate=request_rate(settings),
                policy=policy,
                metadata_routes=who.routes,
                metrics_here=settings.metrics_port is None,
            )
            async with sessions.run():
                yield OpenedApp(app, context, parts)
            watchers.cancel_scope.cancel()
    finally:
        if who.http is not None:
            await who.http.aclose()


_METADATA = "/.well-known/oauth-protected-resource"


def refuse_unsafe(settings: Settings, *, sandbox: bool = False) -> None:
    """Refuse settings that would serve strangers, or that could not work.

    Raises:
        ConfigurationError: It says what to set.
    """
    if settings.auth == "none" and not is_loopback(settings.host):
        raise ConfigurationError(
            f"Without authentication this server listens on this machine alone, not on {settings.host}.",
            hint="Set CONTIT_MCP_AUTH to token, jwt or caller (docs/settings.md), or CONTIT_MCP_HOST=127.0.0.1.",
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


def request_rate(settings: Settings) -> RequestRate:
    """How often one caller may ask."""
    location = settings.store_location()
    return RequestRate(settings.requests_per_minute, redis_url=location.url if location.kind == "redis" else None)


@dataclass(frozen=True, slots=True)
class Identification:
    """Who may call.

    Attributes:
        identify: The mode.
        routes: What tells clients where to get a token.
        http: A client that is to be closed at the end.
    """

    identify: Identify
    routes: list[Route]
    http: httpx.AsyncClient | None = None


def identification(settings: Settings) -> Identification:
    """The mode that is configured.

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
    required, advertised = split_list(settings.jwt_scopes), settings.scopes_to_request()
    http = build_http_client("", policy=TransportPolicy(body_bytes=LARGEST_DOCUMENT), ca_file=settings.ca_file)
    tokens = JwtTokens(
        IssuerKeys(settings.jwt_issuer, http, jwks_url=settings.jwt_jwks_url),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience or settings.public_url,
        required_scopes=required,
        advertised_scopes=advertised,
        metadata_url=str(build_resource_metadata_url(resource)),
        header=settings.jwt_header,
    )
    [route] = create_protected_resource_routes(resource, [issuer], advertised, resource_name="Contit Assistant")
    # Clients look below the path first and then at the root (MCP authorization). A proxy may have changed the path.
    paths = dict.fromkeys((route.path, f"{_METADATA}/mcp", _METADATA))
    routes = [Route(path, route.endpoint, methods=["GET", "OPTIONS"]) for path in paths]
    return Identification(tokens, routes, http)


def contit_probe(
    settings: Settings, transport: httpx.AsyncBaseTransport | None = None
) -> Callable[[], Awaitable[str | None]] | None:
    """Asks Contit whether it is there, where the operator wants readiness to depend on it."""
    if not settings.ready_probes_contit:
        return None

    async def probe() -> str | None:
        async with build_http_client(settings.base_url, ca_file=settings.ca_file, transport=transport) as http:
            try:
                await ContitClient(http, read_seconds=3.0).run_status("contit-mcp-probe", "contit-mcp-probe")
            except (NotFoundError, AuthenticationError):
                return None  # it is there; the credential is the calls' business
            except APIStatusError as error:
                return f"Contit answers {error.status_code}"
            except ContitError as error:
                return error.message
        return None

    return probe

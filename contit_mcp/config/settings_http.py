"""The settings of `contit-mcp http` alone, and how their lists are written."""

import ipaddress
import re
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from contit_mcp.config.settings_upstream import Url, UserPath
from contit_mcp.config.settings_urls import exact_url

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:(\d{1,5}|\*))?")
"""What a browser sends as `Origin`, and `:*` for any port: no path, and no slash at its end."""

_SCOPE = re.compile(r"[!#-\[\]-~]{1,256}")
"""RFC 6749, 3.3: no space, quote or backslash, which would break the header that names the scopes."""

_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
SHORTEST_TOKEN, LONGEST_TOKEN = 20, 8_192
"""Characters of a static token: who can guess shorter ones would, and longer ones fit no header."""

_TOKEN = re.compile(r"[!-~]*")
"""What a header can carry of a token: no space."""


def split_list(text: str) -> list[str]:
    """The parts of a list that is written with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_tokens(text: str) -> dict[str, str]:
    """Tokens by the names of their callers, from `name:token,name:token`.

    Raises:
        ValueError: The text never quotes a token.
    """
    tokens: dict[str, str] = {}
    for number, part in enumerate(split_list(text), start=1):
        name, _, token = part.partition(":")
        if not _NAME.fullmatch(name) or not token:
            raise ValueError(f"must be name:token,name:token; number {number} is not")
        if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN or not _TOKEN.fullmatch(token):
            raise ValueError(
                f"holds a token for {name} that has not {SHORTEST_TOKEN} to {LONGEST_TOKEN} characters or is not plain"
            )
        if name in tokens or token in tokens.values():
            raise ValueError(f"holds {name} or its token twice")
        tokens[name] = token
    if not tokens:
        raise ValueError("holds no token")
    return tokens


def _usable_proxies(text: str) -> str:
    for part in split_list(text):
        try:
            ipaddress.ip_network(part)
        except ValueError:
            raise ValueError(f"must hold addresses like 10.0.0.1 or networks like 10.0.0.0/8, not {part}") from None
    return text


def _usable_origins(text: str) -> str:
    for part in split_list(text):
        if not _ORIGIN.fullmatch(part):
            raise ValueError(f"must hold origins like https://app.example or http://localhost:*, not {part}")
    return text


def _usable_scopes(text: str) -> str:
    for part in split_list(text):
        if not _SCOPE.fullmatch(part):
            raise ValueError(f"must hold scopes with commas between them, not {part[:60]!r}")
    return text


def _usable_tokens(value: SecretStr) -> SecretStr:
    parse_tokens(value.get_secret_value())
    return value


class HttpSettings(BaseModel):
    """What only a server over HTTP is configured with."""

    host: str = Field("127.0.0.1", alias="CONTIT_MCP_HOST", description="Address to listen on; `0.0.0.0` for all.")
    port: int = Field(8000, ge=0, le=65_535, alias="CONTIT_MCP_PORT", description="Port to listen on; 0 for any.")
    public_url: Url | None = Field(
        None,
        alias="CONTIT_MCP_PUBLIC_URL",
        description="The URL of `/mcp` as callers know it, where a proxy stands before it; `jwt` needs it.",
    )
    auth: Literal["none", "token", "jwt", "caller"] = Field(
        "none",
        alias="CONTIT_MCP_AUTH",
        description="Who may call: `none` (on this machine only), `token` (the tokens below), `jwt` (tokens of an"
        " OAuth 2.1 issuer), `caller` (each request brings its own Contit credential).",
    )
    tokens: Annotated[SecretStr, AfterValidator(_usable_tokens)] | None = Field(
        None, alias="CONTIT_MCP_TOKENS", description="Callers and their bearer tokens: `name:token,name:token`."
    )
    tokens_file: UserPath | None = Field(
        None, alias="CONTIT_MCP_TOKENS_FILE", description="File that holds the tokens; read again when it changes."
    )
    jwt_issuer: Annotated[str, AfterValidator(exact_url)] | None = Field(
        None, alias="CONTIT_MCP_JWT_ISSUER", description="Issuer whose tokens are taken (`iss`), for `jwt`."
    )
    jwt_audience: str | None = Field(
        None,
        alias="CONTIT_MCP_JWT_AUDIENCE",
        description="What their `aud` must contain, with or without a slash at its end; by default the public URL.",
    )
    jwt_jwks_url: Annotated[str, AfterValidator(partial(exact_url, query=True))] | None = Field(
        None, alias="CONTIT_MCP_JWT_JWKS_URL", description="Where the issuer's keys are; by default as it says itself."
    )
    jwt_scopes: Annotated[str, AfterValidator(_usable_scopes)] = Field(
        "",
        alias="CONTIT_MCP_JWT_SCOPES",
        description="Scopes that a token must have, as they appear in tokens, with commas between.",
    )
    jwt_advertised_scopes: Annotated[str, AfterValidator(_usable_scopes)] = Field(
        "",
        alias="CONTIT_MCP_JWT_ADVERTISED_SCOPES",
        description="Scopes that clients must request, with commas between, where the issuer writes them differently in"
        " requests (`api://…/contit.ask` at Entra ID). Not set: the scopes above; without those `openid`.",
    )
    jwt_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = Field(
        "Authorization",
        alias="CONTIT_MCP_JWT_HEADER",
        description="Header that carries the token. A proxy that signs people in itself puts its own token into another"
        " one (`Cf-Access-Jwt-Assertion` at Cloudflare Access), without `Bearer`.",
    )
    seal_key: SecretStr | None = Field(
        None,
        alias="CONTIT_MCP_SEAL_KEY",
        description="Keys that turn Contit's ids into handles, with commas between; the first seals, all open. At least"
        " 32 characters each; the same on all replicas. `token`, `jwt` and Redis need one.",
    )
    seal_key_file: UserPath | None = Field(None, alias="CONTIT_MCP_SEAL_KEY_FILE", description="File that holds them.")
    allowed_hosts: str = Field(
        "",
        alias="CONTIT_MCP_ALLOWED_HOSTS",
        description="Names that `Host` may have at `/mcp`, with commas between, `name:*` for any port. Not set: this"
        " machine's; with authentication any.",
    )
    allowed_origins: Annotated[str, AfterValidator(_usable_origins)] = Field(
        "",
        alias="CONTIT_MCP_ALLOWED_ORIGINS",
        description="Web pages' origins that may call `/mcp`, with commas between. Not set: this machine's; with"
        " authentication none.",
    )
    trusted_proxies: Annotated[str, AfterValidator(_usable_proxies)] = Field(
        "",
        alias="CONTIT_MCP_TRUSTED_PROXIES",
        description="Addresses or networks whose `X-Forwarded-For` and `-Proto` are believed, with commas between.",
    )
    tls_cert_file: UserPath | None = Field(
        None, alias="CONTIT_MCP_TLS_CERT_FILE", description="Certificate chain (PEM), to speak https."
    )
    tls_key_file: UserPath | None = Field(None, alias="CONTIT_MCP_TLS_KEY_FILE", description="Its private key (PEM).")
    max_body_bytes: int = Field(
        262_144,
        ge=1_024,
        alias="CONTIT_MCP_MAX_BODY_BYTES",
        description="Largest request in bytes. The longest prompt, all of it escaped, takes three quarters of it.",
    )
    requests_per_minute: int = Field(
        300,
        ge=1,
        alias="CONTIT_MCP_REQUESTS_PER_MINUTE",
        description="Requests of one caller in a minute; more are answered 429. Shared by replicas that have a Redis.",
    )
    calls_per_caller: int = Field(
        100, ge=1, alias="CONTIT_MCP_CALLS_PER_CALLER", description="Calls of one caller at once, in one process."
    )
    calls_at_once: int = Field(
        2_000,
        ge=1,
        alias="CONTIT_MCP_CALLS_AT_ONCE",
        description="Requests at once in one process; more are answered 503, before it runs out of memory.",
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        alias="CONTIT_MCP_METRICS_PORT",
        description="Own port for `/metrics`, on the same address.",
    )
    ready_probes_contit: bool = Field(
        False,  # noqa: FBT003 - a default, not an argument
        alias="CONTIT_MCP_READY_PROBES_CONTIT",
        description="Whether `/readyz` also asks Contit, every 10 s. An outage of Contit then takes all replicas out.",
    )

    def scopes_to_request(self) -> list[str]:
        """Return the scopes that clients are told to request; never none, since some issuers then grant nothing."""
        return split_list(self.jwt_advertised_scopes) or split_list(self.jwt_scopes) or ["openid"]

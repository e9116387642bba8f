"""Every setting, with its default and its meaning."""

import ipaddress
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from contit_mcp.config.values import SecretValue, StoreLocation, exact_url, expanded, parse_store, usable_url
from contit_mcp.errors import ConfigurationError

T = TypeVar("T")
Url = Annotated[str, AfterValidator(usable_url)]
ExactUrl = Annotated[str, AfterValidator(exact_url)]
KeysUrl = Annotated[str, AfterValidator(partial(exact_url, query=True))]
Wait = Annotated[float, Field(ge=1, le=3_600)]
UserPath = Annotated[Path, AfterValidator(expanded)]  # `~` is the home folder, also without a shell
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda text: str(text).upper())]
LogFormat = Literal["auto", "json", "console"]

_SECRETS_OF_CONTIT = ("api_key", "access_token", "client_secret")
CREDENTIAL = frozenset({"client_id", *_SECRETS_OF_CONTIT, *(f"{name}_file" for name in _SECRETS_OF_CONTIT)})
"""The settings that together form the Contit credential."""


def _variable(name: str) -> str:
    is_about_contit = name in CREDENTIAL or name in {"token_url", "base_url", "ca_file"}
    return f"{'CONTIT_' if is_about_contit else 'CONTIT_MCP_'}{name.upper()}"


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=_variable,
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )


class UpstreamSettings(_Part):
    """Contit, and the one credential for it."""

    api_key: SecretStr | None = Field(None, description="API key of a Contit client, sent as `X-Api-Key`.")
    api_key_file: UserPath | None = Field(None, description="File that holds the API key; read again when it changes.")
    access_token: SecretStr | None = Field(None, description="Personal access token (`ctpat_…`), sent as Bearer token.")
    access_token_file: UserPath | None = Field(None, description="File with the token; read again when it changes.")
    client_id: str | None = Field(None, description="Id of an OAuth2 client, for the client credentials grant.")
    client_secret: SecretStr | None = Field(None, description="Secret of the OAuth2 client.")
    client_secret_file: UserPath | None = Field(None, description="File with the secret; read again when it changes.")
    token_url: Url = Field(
        "https://idp.contit.cloud/connect/token",
        description="Address that issues OAuth2 tokens. Contit's documentation names three hosts; this one is on its"
        " page about the AI assistant.",
    )
    base_url: Url = Field("https://api.contit.cloud", description="Address of Contit: https, or http on this machine.")
    ca_file: UserPath | None = Field(None, description="PEM file with further certificate authorities to trust.")
    upstream_body_bytes: int = Field(8_388_608, ge=65_536, description="Largest body read from Contit, decompressed.")

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        ways = {
            "CONTIT_API_KEY": self.api_key or self.api_key_file,
            "CONTIT_ACCESS_TOKEN": self.access_token or self.access_token_file,
            "CONTIT_CLIENT_ID": self.client_id,
        }
        chosen = [way for way, is_set in ways.items() if is_set]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} are set at once; keep one credential")
        if bool(self.client_id) != bool(self.client_secret or self.client_secret_file):
            raise ValueError("CONTIT_CLIENT_ID and CONTIT_CLIENT_SECRET belong together; set both")
        return self


_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:(\d{1,5}|\*))?")  # `:*` is any port
_SCOPE = re.compile(r"[!#-\[\]-~]{1,256}")  # RFC 6749, 3.3: no quote that would end the header's list of scopes

_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
SHORTEST_TOKEN, LONGEST_TOKEN = 20, 8_192  # shorter ones can be guessed, longer ones do not fit into a header
_TOKEN = re.compile(f"[!-~]{{{SHORTEST_TOKEN},{LONGEST_TOKEN}}}")


def split_list(text: str) -> list[str]:
    """Return the parts of a comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_tokens(text: str) -> dict[str, str]:
    """Return the tokens of `name:token,name:token` by name. Raise ValueError, which quotes no token."""
    tokens: dict[str, str] = {}
    for number, part in enumerate(split_list(text), start=1):
        name, _, token = part.partition(":")
        if not _NAME.fullmatch(name) or not token:
            raise ValueError(f"must be name:token,name:token; number {number} is not")
        if not _TOKEN.fullmatch(token):
            size = f"{SHORTEST_TOKEN} to {LONGEST_TOKEN} printable ASCII characters"
            raise ValueError(f"must give {name!r} a token of {size}")
        if name in tokens or token in tokens.values():
            raise ValueError(f"holds {name} or its token twice")
        tokens[name] = token
    if not tokens:
        raise ValueError("holds no token")
    return tokens


def _each(what: str, check: Callable[[str], object]) -> AfterValidator:
    """Return a validator for a comma-separated list. `check` refuses a part by returning None or raising ValueError."""

    def checked(text: str) -> str:
        for part in split_list(text):
            with suppress(ValueError):
                if check(part) is not None:
                    continue
            raise ValueError(f"must hold {what}, not {part[:60]!r}")
        return text

    return AfterValidator(checked)


Networks = Annotated[str, _each("addresses like 10.0.0.1 or networks like 10.0.0.0/8", ipaddress.ip_network)]
Origins = Annotated[str, _each("origins like https://app.example or http://localhost:*", _ORIGIN.fullmatch)]
Scopes = Annotated[str, _each("scopes with commas between them", _SCOPE.fullmatch)]


def _secret_for(parse: Callable[[str], object]) -> AfterValidator:
    """Return a validator that refuses the secrets that `parse` refuses, and returns others unchanged."""

    def checked(value: SecretStr) -> SecretStr:
        parse(value.get_secret_value())
        return value

    return AfterValidator(checked)


Tokens = Annotated[SecretStr, _secret_for(parse_tokens)]
Store = Annotated[SecretStr, _secret_for(parse_store)]


class HttpSettings(_Part):
    """The settings of a server over HTTP."""

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for all.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 for any.")
    public_url: Url | None = Field(None, description="URL of `/mcp` as callers know it; `jwt` needs it.")
    auth: Literal["none", "token", "jwt", "caller"] = Field(
        "none",
        description="Who may call: `none` (on this machine only), `token` (the tokens below), `jwt` (tokens of an"
        " OAuth 2.1 issuer), `caller` (each request brings its own Contit credential).",
    )
    tokens: Tokens | None = Field(None, description="Callers and their bearer tokens: `name:token,name:token`.")
    tokens_file: UserPath | None = Field(None, description="File that holds the tokens; read again when it changes.")
    jwt_issuer: ExactUrl | None = Field(None, description="Issuer whose tokens are accepted (`iss`), for `jwt`.")
    jwt_audience: str | None = Field(None, description="Required `aud` of the tokens. Not set: the public URL.")
    jwt_jwks_url: KeysUrl | None = Field(None, description="Address of the issuer's keys. Not set: from its metadata.")
    jwt_scopes: Scopes = Field("", description="Scopes that a token must have, as tokens write them, comma-separated.")
    jwt_advertised_scopes: Scopes = Field(
        "",
        description="Scopes that clients must request, where the issuer writes them differently in requests"
        " (`api://…/contit.ask` at Entra ID). Not set: the scopes above; without those `openid`.",
    )
    jwt_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = Field(
        "Authorization",
        description="Header that carries the token. A proxy that signs users in sends its own token in another header,"
        " without `Bearer` (Cloudflare Access: `Cf-Access-Jwt-Assertion`).",
    )
    seal_key: SecretStr | None = Field(
        None,
        description="Keys that encrypt Contit's ids into handles, each valid for one caller; comma-separated. The first"
        " encrypts new handles, all decrypt existing ones. At least 32 characters each; the same on all replicas; read"
        " at the start. Required with `token`, `jwt` or Redis.",
    )
    seal_key_file: UserPath | None = Field(None, description="File that holds the seal keys.")
    allowed_hosts: str = Field(
        "",
        description="Names that callers may use for this server (`Host`), comma-separated; `name:*` is any port. Not"
        " set: the names of this machine; with authentication, any name.",
    )
    allowed_origins: Origins = Field(
        "",
        description="Origins of web pages that may call, comma-separated. Not set: pages from this machine; with"
        " authentication, none.",
    )
    trusted_proxies: Networks = Field("", description="Proxies whose `X-Forwarded-…` counts: comma-separated networks.")
    tls_cert_file: UserPath | None = Field(None, description="Certificate chain (PEM), to speak https.")
    tls_key_file: UserPath | None = Field(None, description="Private key of the certificate (PEM).")
    max_body_bytes: int = Field(
        262_144,
        ge=1_024,
        description="Largest body. The longest prompt escaped in JSON has 192,000 bytes; in emoji, twice as many.",
    )
    requests_per_minute: int = Field(
        300, ge=1, description="Requests a minute of one caller; more get 429. Replicas with one Redis count together."
    )
    calls_per_caller: int = Field(100, ge=1, description="Requests of one caller at once in one process; more get 429.")
    calls_at_once: int = Field(2_000, ge=1, description="Requests of all callers at once in one process; more get 503.")
    metrics_port: int | None = Field(None, ge=0, le=65_535, description="Separate port for `/metrics`, same address.")
    ready_probes_contit: bool = Field(
        default=False,
        description="Whether `/readyz` checks Contit too, every 10 s. If Contit is down, all replicas are unready.",
    )

    def scopes_to_request(self) -> list[str]:
        """Return the scopes that clients must request: never an empty list, for which some issuers grant nothing."""
        return split_list(self.jwt_advertised_scopes) or split_list(self.jwt_scopes) or ["openid"]


class Settings(HttpSettings, UpstreamSettings):
    """The settings of contit-mcp."""

    store: Store = Field(
        SecretStr("sqlite"),
        description="Where runs are remembered: `sqlite` (a file in the state folder, shared by all processes of this"
        " user), `sqlite:PATH`, `redis://…` or `rediss://…` (shared by replicas), or `memory` (this process only).",
    )
    store_file: UserPath | None = Field(None, description="File that holds the store's URL, if the URL has a password.")
    state_dir: UserPath | None = Field(
        None, description="Folder of the store and of the key that `install` stores. Not set: one of this user."
    )
    wait_seconds: Wait | None = Field(None, description="How long a call waits. Not set: as the host allows.")
    max_wait_seconds: Wait = Field(
        240.0, description="Upper limit of every wait, unless `wait_seconds` is higher. Codex ends calls after 300 s."
    )
    run_limit_seconds: float = Field(
        1_800.0, ge=60, description="A run without an end after this time counts as failed. Contit documents no limit."
    )
    answer_seconds: float = Field(
        3_600.0, ge=0, description="How long an answer is stored; 0 stores none. Hosts retry for less than an hour."
    )
    answer_part_characters: int = Field(
        60_000, ge=1_000, description="Longer answers come in parts; hosts cut a result at 100,000 characters."
    )
    task_inline_seconds: float = Field(
        8.0, ge=0, le=240, description="How long `contit_ask` waits before it returns a task, if the client has Tasks."
    )
    titles: bool = Field(
        default=True, description="Whether questions' first words are stored as titles (stdio and mode `none` only)."
    )
    card: bool = Field(default=True, description="Whether hosts with MCP Apps get the answer card.")
    log_level: LogLevel = Field("INFO", description="`DEBUG`, `INFO` (a line a call, two a run), `WARNING`, `ERROR`.")
    log_format: LogFormat = Field("auto", description="`json`, `console`, or `auto`: JSON unless stderr is a terminal.")

    _secrets: dict[str, SecretValue] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for name in SECRETS:
            if name in self.model_fields_set and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{_variable(name)} and {_variable(name)}_FILE are both set; keep one")
        return self

    def secret(self, name: str) -> SecretValue | None:
        """Return one of the secrets, always the same object, since it caches what it read; None if it is not set."""
        value: SecretStr | None = getattr(self, name)
        file: Path | None = getattr(self, f"{name}_file")
        if value is None and file is None:
            return None
        text = value.get_secret_value().strip() if value else ""
        return self._secrets.setdefault(name, SecretValue(_variable(name), value=text, file=file))

    def seal_keys(self) -> list[str]:
        """Return the seal keys, of which the first seals. Raise ConfigurationError if their file cannot be read."""
        return self._parsed("seal_key", split_list) or []

    def caller_tokens(self) -> dict[str, str]:
        """Return the current tokens by the names of their callers. Raise ConfigurationError as `seal_keys` does."""
        return self._parsed("tokens", parse_tokens) or {}

    def store_location(self) -> StoreLocation:
        """Return the location of the store."""
        return self._parsed("store", parse_store) or StoreLocation("sqlite")

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return a secret as parsed; None if it is not set. Raise ConfigurationError, which does not quote it."""
        if (secret := self.secret(name)) is None:
            return None
        try:
            return parse(secret.reveal())
        except ValueError as exc:
            problem = str(exc)
        file = getattr(self, f"{name}_file")
        raise ConfigurationError(f"The text of {file} {problem}.", hint="contit-mcp settings says how it is written.")


SECRETS = tuple(name for name in Settings.model_fields if f"{name}_file" in Settings.model_fields)  # can be in a file
GROUPS = (CREDENTIAL, *(frozenset({name, f"{name}_file"}) for name in SECRETS if name not in CREDENTIAL))
"""Groups of settings that belong together: a source that sets one of a group replaces the whole group."""

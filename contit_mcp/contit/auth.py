"""Credentials for Contit, each an `httpx.Auth`. None of them ever shows its secret."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from contit_mcp.config.values import SecretValue
from contit_mcp.contit.retries import RetryPolicy, retrying
from contit_mcp.contit.transport import ENDPOINT, send
from contit_mcp.contit.wire import parse
from contit_mcp.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    InternalServerError,
    RateLimitError,
)
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

_Flow = AsyncGenerator[httpx.Request, httpx.Response]


class Credential(httpx.Auth, ABC):
    """Proves to Contit who asks."""

    @abstractmethod
    def identity(self) -> str:
        """Return what tells this caller from others, with the credential's form. It may be as secret as the credential.

        Raises:
            ConfigurationError: The secret cannot be used.
        """

    async def aclose(self) -> None:
        """Close the connections that the credential needs for itself."""


def _header_value(secret: SecretValue) -> str:
    value = secret.reveal()
    if not value:
        raise ConfigurationError(f"{secret.name} is empty.", hint="Set it, or leave it out altogether.")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigurationError(
            f"{secret.name} holds characters that no credential has.",
            hint="Set it again; copied text often brings line breaks or invisible characters along.",
        )
    return value


class APIKeyAuth(Credential):
    """Sends `X-Api-Key: …`, an API key of a Contit client."""

    def __init__(self, key: SecretValue) -> None:
        self._key = key

    def identity(self) -> str:
        """Return the key with its form."""
        return f"key:{_header_value(self._key)}"

    async def async_auth_flow(self, request: httpx.Request) -> _Flow:
        """Send the request with the key."""
        request.headers["X-Api-Key"] = _header_value(self._key)
        yield request


class AccessTokenAuth(Credential):
    """Sends `Authorization: Bearer …`, a personal access token."""

    def __init__(self, token: SecretValue) -> None:
        self._token = token

    def identity(self) -> str:
        """Return the token with its form."""
        return f"bearer:{_header_value(self._token)}"

    async def async_auth_flow(self, request: httpx.Request) -> _Flow:
        """Send the request with the token."""
        request.headers["Authorization"] = f"Bearer {_header_value(self._token)}"
        yield request


_RENEW_BEFORE = 60.0
"""Seconds before its end at which a token is renewed (half its life, if that is shorter)."""

_FETCH_SECONDS = 15.0
"""What fetching a token may take, retries included. It is less than a start may take, so that it is known that the
start was not sent."""

_FAILURE_PAUSE, _LONGEST_FAILURE_PAUSE = 3.0, 60.0
"""Seconds after a failure in which the endpoint is not asked again; the second bounds its `Retry-After`."""


class ClientCredentialsAuth(Credential):
    """OAuth 2.0 client credentials (RFC 6749, 4.4): fetches a token, keeps it, and renews it before it expires.

    After a 401 the token is renewed once and the request repeated once. One request fetches a token for all that need
    one at the same moment. If that fails, it fails for all that waited, and for a short time without asking again: 3 s,
    or up to a minute if the endpoint asks for it. A token that is still valid is used meanwhile.

    Args:
        client_id: Public name of the client.
        client_secret: Its secret.
        token_url: The token endpoint. The vendor's pages name three hosts, so it is a setting.
        http: Client for the token endpoint; it is closed with the credential.
        retry: For the token endpoint; asking for a token twice does no harm.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: SecretValue,
        *,
        token_url: str,
        http: httpx.AsyncClient,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._http = http
        self._retry = retry or RetryPolicy()
        self._renewal = anyio.Lock()
        self._token: _KeptToken | None = None
        self._failure: APIError | None = None
        self._failed_until = 0.0  # on the event loop's clock

    def identity(self) -> str:
        """Return the client's id with its form."""
        return f"client:{self._client_id}"

    async def async_auth_flow(self, request: httpx.Request) -> _Flow:
        """Send the request with a valid token; after a 401 once more, with a token fetched after the refused one.

        Raises:
            ConfigurationError: The secret cannot be used.
            APIError: No token could be fetched.
        """
        token = await self._valid_token(refused=None)
        request.headers["Authorization"] = token.header
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = await self._valid_token(refused=token)
            request.headers["Authorization"] = token.header
            yield request

    async def aclose(self) -> None:
        """Close the connections to the token endpoint."""
        await self._http.aclose()

    async def _valid_token(self, *, refused: "_KeptToken | None") -> "_KeptToken":
        """Return a token that is not about to expire and was fetched after `refused` was."""
        if (kept := self._token) and kept is not refused and anyio.current_time() < kept.renew_at:
            return kept
        async with self._renewal:
            kept = self._token  # another request may have renewed it meanwhile
            if kept and kept is not refused and anyio.current_time() < kept.renew_at:
                return kept
            try:
                self._token = await self._renewed()
            except APIError as error:
                if kept and kept is not refused and anyio.current_time() < kept.expires_at:
                    log.warning("token.renewal_failed", error=type(error).__name__)
                    return kept
                raise
            return self._token

    async def _renewed(self) -> "_KeptToken":
        asked_at = anyio.current_time()
        if self._failure is not None and asked_at < self._failed_until:
            raise _about_the_token(self._failure) from self._failure
        secret = _header_value(self._client_secret)
        try:
            granted = await self._fetch(secret)
        except APIError as error:
            asked_to_wait = (error.retry_after or 0.0) if isinstance(error, APIStatusError) else 0.0
            pause = max(_FAILURE_PAUSE, min(asked_to_wait, _LONGEST_FAILURE_PAUSE))
            self._failure, self._failed_until = error, anyio.current_time() + pause
            raise _about_the_token(error) from error
        life = granted.expires_in
        return _KeptToken(
            f"Bearer {granted.access_token}",
            renew_at=asked_at + max(life - _RENEW_BEFORE, life / 2),
            expires_at=asked_at + life,
        )

    async def _fetch(self, secret: str) -> "_Token":
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "client_secret": secret}

        async def attempt() -> _Token:
            request = self._http.build_request("POST", self._token_url, data=form, extensions={ENDPOINT: "token"})
            return parse(await send(self._http, request), _Token)

        deadline = anyio.current_time() + _FETCH_SECONDS
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                return await retrying(attempt, policy=self._retry, deadline=deadline)
        except TimeoutError as exc:
            raise APITimeoutError(
                "The token endpoint did not finish its answer in time.",
                hint="Try again in a little while.",
                may_have_arrived=False,
            ) from exc


_USUAL_LIFE = 3600.0
"""Seconds that a token lives when its answer does not say (documented: `expires_in` 3600)."""

_REFUSED = frozenset({400, 401, 403})
"""How an endpoint refuses a client: 400 and 401 in RFC 6749, 5.2; 403 in practice."""


class _Token(BaseModel):
    """The token endpoint's answer. `token_type` differs in case between the vendor's pages and is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: str = Field(min_length=1, pattern=r"^[\x21-\x7e]+$", repr=False)
    expires_in: float = Field(default=_USUAL_LIFE, gt=0, allow_inf_nan=False)

    @field_validator("expires_in", mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        return _USUAL_LIFE if value is None else value


@dataclass(frozen=True, slots=True, eq=False)
class _KeptToken:
    header: str = field(repr=False)
    renew_at: float
    expires_at: float


def _about_the_token(error: APIError) -> APIError:
    """Return what a failure of the token endpoint means to the request to Contit that needed the token.

    That request was not sent. So a 404 or 409 of the token endpoint must not look like one of Contit's, and a broken
    connection to it leaves nothing unknown.
    """
    if isinstance(error, RateLimitError):
        return RateLimitError(
            "Contit's token endpoint refused the request because of too many requests (429).",
            hint=error.hint,
            status_code=error.status_code,
            retry_after=error.retry_after,
        )
    if isinstance(error, APIConnectionError | InternalServerError):
        kind = APITimeoutError if isinstance(error, APITimeoutError) else APIConnectionError
        message = f"No token could be fetched, and nothing was asked. {error.message}"
        return kind(message, hint=error.hint, may_have_arrived=False)
    if not isinstance(error, APIStatusError):
        return APIResponseValidationError(
            "Contit's token endpoint answered with something that is not a token.",
            hint="Try again; if it stays so, check CONTIT_TOKEN_URL and whether a proxy answers in its place.",
        )
    if error.status_code in _REFUSED:
        message = "Contit's token endpoint refused the client id or the client secret."
        hint = "Check CONTIT_CLIENT_ID, CONTIT_CLIENT_SECRET and CONTIT_TOKEN_URL."
    else:
        message = f"Contit's token endpoint answered with HTTP {error.status_code} instead of a token."
        hint = "Set CONTIT_TOKEN_URL to the token endpoint itself; redirects are not followed."
    # 401 whatever it was: the caller's credential does not work. Another status would be read as Contit's.
    return AuthenticationError(message, hint=hint, status_code=int(httpx.codes.UNAUTHORIZED))

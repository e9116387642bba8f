"""Credentials for Contit, as httpx authentication objects. None of them ever shows its secret."""

import math
from collections.abc import AsyncGenerator, Callable, Generator

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, Field

from contit_mcp.api.responses import parse
from contit_mcp.api.retries import RetryPolicy, read_may_be_repeated, retrying
from contit_mcp.api.transport import HTTPX_ERRORS, translate
from contit_mcp.exceptions import AuthenticationError, BadRequestError, ConfigurationError, ContitError
from contit_mcp.secret_value import SecretValue


def _header_value(secret: SecretValue) -> str:
    value = secret.reveal()
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigurationError(
            f"{secret.name} holds characters that no credential has.",
            hint="Set it again; copied text often brings line breaks or invisible characters along.",
        )
    return value


class APIKeyAuth(httpx.Auth):
    """`X-Api-Key: …`, an API key of a Contit client (documented)."""

    def __init__(self, key: SecretValue) -> None:
        self._key = key

    def identity(self) -> str:
        """What tells this caller from others. As secret as the key."""
        return self._key.reveal()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the key into its header."""
        request.headers["X-Api-Key"] = _header_value(self._key)
        yield request


class AccessTokenAuth(httpx.Auth):
    """`Authorization: Bearer …`, a personal access token (documented; on this endpoint assumed)."""

    def __init__(self, token: SecretValue) -> None:
        self._token = token

    def identity(self) -> str:
        """What tells this caller from others. As secret as the token."""
        return self._token.reveal()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the token into its header."""
        request.headers["Authorization"] = f"Bearer {_header_value(self._token)}"
        yield request


class ClientCredentialsAuth(httpx.Auth):
    """OAuth 2.0 client credentials (RFC 6749, 4.4): a token is fetched, kept, and renewed before it expires.

    After a 401 the token is renewed once and the request repeated once. However many requests need a
    token at the same moment, one of them fetches it; when that fails, it fails for all who waited.

    Args:
        client_id: Public name of the client.
        client_secret: Its secret.
        token_url: Where tokens come from; the vendor's pages name three hosts, so it is a setting.
        http: Client without a credential, for the token endpoint.
        retry: For the token endpoint; asking for a token twice does no harm.
        renew_before: Seconds before its end at which a token is renewed (half its life, if that is shorter).
        budget: Seconds that getting a token may take, retries included.
        clock: Seconds, for the expiry.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: SecretValue,
        *,
        token_url: str,
        http: httpx.AsyncClient,
        retry: RetryPolicy | None = None,
        renew_before: float = 60.0,
        budget: float = 20.0,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._http = http
        self._retry = retry or RetryPolicy()
        self._renew_before = renew_before
        self._budget = budget
        self._clock = clock
        self._renewal = anyio.Lock()
        self._token: str | None = None
        self._renew_at = -math.inf
        self._rounds = 0
        self._failure: ContitError | None = None

    def identity(self) -> str:
        """What tells this caller from others: the client's id."""
        return self._client_id

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a valid token; after a 401 once more with a new one."""
        token = await self._valid_token(refused=None)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = await self._valid_token(refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request

    async def aclose(self) -> None:
        """Close the connections to the token endpoint."""
        await self._http.aclose()

    async def _valid_token(self, *, refused: str | None) -> str:
        """Return a token that is not about to expire and is not `refused`."""
        if (kept := self._kept(refused)) is not None:
            return kept
        round_before = self._rounds
        async with self._renewal:
            if (kept := self._kept(refused)) is not None:
                return kept
            if self._failure is not None and self._rounds != round_before:
                raise self._failure
            self._failure = None
            try:
                return await self._fetch()
            except ContitError as error:
                self._failure = error
                raise
            finally:
                self._rounds += 1

    def _kept(self, refused: str | None) -> str | None:
        return self._token if self._token != refused and self._clock() < self._renew_at else None

    async def _fetch(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret.reveal(),
        }

        async def attempt() -> "_Token":
            try:
                response = await self._http.post(self._token_url, data=form)
            except HTTPX_ERRORS as exc:
                raise translate(exc) from exc
            return parse(response, _Token)

        asked_at = self._clock()
        deadline = anyio.current_time() + self._budget
        try:
            granted = await retrying(
                attempt, may_repeat=read_may_be_repeated, policy=self._retry, deadline=deadline
            )
        except (AuthenticationError, BadRequestError) as exc:
            raise AuthenticationError(
                "Contit's token endpoint refused the client id or the client secret.",
                hint="Check CONTIT_CLIENT_ID, CONTIT_CLIENT_SECRET and CONTIT_TOKEN_URL.",
                status_code=exc.status_code,
            ) from exc
        self._token = granted.access_token
        self._renew_at = asked_at + max(granted.expires_in - self._renew_before, granted.expires_in / 2)
        return self._token


class _Token(BaseModel):
    """The token endpoint's answer. `token_type` differs in case between the vendor's pages and is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: str = Field(min_length=1, pattern=r"^[\x21-\x7e]+$")
    expires_in: float = Field(default=3600.0, gt=0)


Credential = APIKeyAuth | AccessTokenAuth | ClientCredentialsAuth
"""The three ways to prove to Contit who asks."""

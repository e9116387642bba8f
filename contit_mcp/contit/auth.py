"""Credentials for Contit, each an `httpx.Auth`. None shows its secret in a `repr`, an error or a log line."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, Field

from contit_mcp import errors
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.retries import RetryPolicy, retrying
from contit_mcp.contit.transport import ENDPOINT, send
from contit_mcp.contit.wire import parse
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)


class Credential(httpx.Auth, ABC):
    """A credential for Contit, which authenticates each request."""

    @abstractmethod
    def identity(self) -> str:
        """Return a text by which callers differ: the kind of the credential and its value, which may be the secret."""

    async def aclose(self) -> None:
        """Close the connections that the credential opened itself."""


def _header_value(secret: SecretValue) -> str:
    value = secret.reveal()
    if not value:
        raise errors.ConfigurationError(f"{secret.name} is empty.", hint="Set it, or leave it out altogether.")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise errors.ConfigurationError(
            f"{secret.name} holds characters that no credential has.",
            hint="Set it again; copied text often contains line breaks or invisible characters.",
        )
    return value


class _HeaderAuth(Credential):
    header: str
    prefix: str
    form: str

    def __init__(self, secret: SecretValue) -> None:
        self._secret = secret

    def identity(self) -> str:
        return f"{self.form}:{_header_value(self._secret)}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers[self.header] = self.prefix + _header_value(self._secret)
        yield request


class APIKeyAuth(_HeaderAuth):
    """Sends `X-Api-Key: …`, an API key of a Contit client."""

    header, prefix, form = "X-Api-Key", "", "key"


class AccessTokenAuth(_HeaderAuth):
    """Sends `Authorization: Bearer …`, a personal access token."""

    header, prefix, form = "Authorization", "Bearer ", "bearer"


_RENEW_BEFORE_SECONDS = 60.0  # before a token's end; half its life, if that is shorter
_FETCH_SECONDS = 15.0  # with retries; under the 20 s of a start: one that got no token is known not to have been sent
_DEFAULT_LIFE_SECONDS = 3600.0  # of a token without `expires_in` (documented)

# After a failure the endpoint is not asked for 3 s, or for its `Retry-After` up to 60 s.
_FAILURE_PAUSE_SECONDS, _LONGEST_FAILURE_PAUSE_SECONDS = 3.0, 60.0


class _Granted(BaseModel):
    """The token endpoint's response. `token_type` differs in case between Contit's pages and is not read."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    access_token: str = Field(min_length=1, pattern=r"^[\x21-\x7e]+$", repr=False)
    expires_in: float | None = Field(default=None, gt=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Token:
    header: str
    renew_at: float
    expires_at: float


class ClientCredentialsAuth(Credential):
    """OAuth 2.0 client credentials (RFC 6749, 4.4): fetches a token, keeps it, and renews it before it expires.

    After a 401 the token is renewed once and the request repeated once. Requests that wait for a token share one fetch.
    If it fails, they use the old token while it is valid. Otherwise they fail, as do all requests of the next seconds.
    """

    def __init__(self, client_id: str, client_secret: SecretValue, *, token_url: str, http: httpx.AsyncClient) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._http = http
        self._renewal = anyio.Lock(fast_acquire=True)  # without a checkpoint: the request that follows has one
        self._token: _Token | None = None
        self._failure: errors.APIError | None = None
        self._no_fetch_until = 0.0  # on the event loop's clock

    def identity(self) -> str:
        """Return the client's id with its form."""
        return f"client:{self._client_id}"

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a valid token; after a 401 once more, with a token fetched after the refused one."""
        token = None
        for _ in range(2):
            token = await self._valid_token(refused=token)
            request.headers["Authorization"] = token.header
            response = yield request
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return

    async def aclose(self) -> None:
        """Close the connections to the token endpoint."""
        await self._http.aclose()

    async def _valid_token(self, *, refused: _Token | None) -> _Token:
        """Return a token that is not about to expire and was fetched after `refused` was."""
        async with self._renewal:
            kept = None if self._token is refused else self._token
            if kept and anyio.current_time() < kept.renew_at:
                return kept
            try:
                self._token = await self._renewed()
            except errors.APIError as error:
                if kept and anyio.current_time() < kept.expires_at:
                    log.warning("token.renewal_failed", error=type(error).__name__)
                    return kept
                raise
            return self._token

    async def _renewed(self) -> _Token:
        asked_at = anyio.current_time()
        if self._failure is not None and asked_at < self._no_fetch_until:
            raise _about_the_token(self._failure) from self._failure
        secret = _header_value(self._client_secret)
        try:
            granted = await self._fetch(secret)
        except errors.APIError as error:
            asked_to_wait = (error.retry_after or 0.0) if isinstance(error, errors.APIStatusError) else 0.0
            pause = max(_FAILURE_PAUSE_SECONDS, min(asked_to_wait, _LONGEST_FAILURE_PAUSE_SECONDS))
            self._failure, self._no_fetch_until = error, anyio.current_time() + pause
            raise _about_the_token(error) from error
        life = granted.expires_in or _DEFAULT_LIFE_SECONDS
        return _Token(
            f"Bearer {granted.access_token}",
            renew_at=asked_at + max(life - _RENEW_BEFORE_SECONDS, life / 2),
            expires_at=asked_at + life,
        )

    async def _fetch(self, secret: str) -> _Granted:
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "client_secret": secret}

        async def attempt() -> _Granted:
            request = self._http.build_request("POST", self._token_url, data=form, extensions={ENDPOINT: "token"})
            return parse(await send(self._http, request), _Granted)

        deadline = anyio.current_time() + _FETCH_SECONDS
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                return await retrying(attempt, policy=RetryPolicy(), deadline=deadline)
        except TimeoutError as exc:
            raise errors.APITimeoutError(
                "The token endpoint did not finish its response in time.",
                hint="Try again in a little while.",
                may_have_arrived=False,
            ) from exc


def _about_the_token(error: errors.APIError) -> errors.APIError:
    """Return the error of a request to Contit that was not sent, because its token could not be fetched.

    The token endpoint's status must not be taken for Contit's, nor its broken connection for an unknown outcome.
    """
    match error:
        case errors.RateLimitError():
            message = "Contit's token endpoint refused the request because of too many requests (429)."
            return errors.RateLimitError(message, hint=error.hint, status_code=429, retry_after=error.retry_after)
        case errors.APIConnectionError() | errors.InternalServerError():
            kind = errors.APITimeoutError if isinstance(error, errors.APITimeoutError) else errors.APIConnectionError
            message = f"No token could be fetched, and nothing was sent to Contit. At CONTIT_TOKEN_URL: {error.message}"
            check = "Check CONTIT_TOKEN_URL, CONTIT_CA_FILE and the proxy settings; then try again."
            hint = error.hint if isinstance(error, errors.InternalServerError) else check
            return kind(message, hint=hint, may_have_arrived=False)
        case errors.APIStatusError(status_code=400 | 401 | 403):  # 400 and 401 in RFC 6749, 5.2; 403 in practice
            message = "Contit's token endpoint refused the client id or the client secret."
            hint = "Check CONTIT_CLIENT_ID, CONTIT_CLIENT_SECRET and CONTIT_TOKEN_URL."
        case errors.APIStatusError():
            message = f"Contit's token endpoint answered with HTTP {error.status_code} instead of a token."
            hint = "Set CONTIT_TOKEN_URL to the token endpoint itself; redirects are not followed."
        case _:
            return errors.APIResponseValidationError(
                "Contit's token endpoint answered with something that is not a token.",
                hint="Try again; if it stays so, check CONTIT_TOKEN_URL and whether a proxy answers in its place.",
            )
    # Always 401, because the credential does not work. Another status would be taken for one of Contit's.
    return errors.AuthenticationError(message, hint=hint, status_code=401)

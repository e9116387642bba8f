"""Credentials for Contit, and the headers that they go into. None of them ever shows its secret."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import httpx

from contit_mcp.config.secret_value import SecretValue
from contit_mcp.contit.connections import Header
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.token_endpoint import TokenEndpoint, about_the_token
from contit_mcp.errors import APIError, APIStatusError, ConfigurationError
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

_LONGEST_FAILURE_PAUSE = 60.0
"""Seconds for which a token endpoint can ask to be left alone."""


class Credential(Protocol):
    """Proves to Contit who asks."""

    def identity(self) -> str:
        """What tells this caller from others. It may be as secret as the credential."""
        ...

    async def header(self) -> Header:
        """The header of the next request.

        Raises:
            ConfigurationError: The secret cannot be used.
            APIError: A token could not be had.
        """
        ...

    async def instead_of(self, refused: Header) -> Header | None:
        """Another header, after Contit has refused one with 401; None where there is no better one."""
        ...


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


class APIKeyAuth:
    """`X-Api-Key: …`, an API key of a Contit client (documented)."""

    def __init__(self, key: SecretValue) -> None:
        self._key = key

    def identity(self) -> str:
        """What tells this caller from others. As secret as the key."""
        return _header_value(self._key)

    async def header(self) -> Header:
        """The key in its header."""
        return "X-Api-Key", _header_value(self._key)

    async def instead_of(self, refused: Header) -> None:
        """A key does not get better."""


class AccessTokenAuth:
    """`Authorization: Bearer …`, a personal access token (documented; on this endpoint assumed)."""

    def __init__(self, token: SecretValue) -> None:
        self._token = token

    def identity(self) -> str:
        """What tells this caller from others. As secret as the token."""
        return _header_value(self._token)

    async def header(self) -> Header:
        """The token in its header."""
        return "Authorization", f"Bearer {_header_value(self._token)}"

    async def instead_of(self, refused: Header) -> None:
        """A token does not get better."""


class ClientCredentialsAuth:
    """OAuth 2.0 client credentials (RFC 6749, 4.4): a token is fetched, kept, and renewed before it expires.

    After a 401 the token is renewed once and the request repeated once. However many requests need a token at
    the same moment, one of them fetches it. When that fails, it fails for all who waited and for whoever comes
    shortly after; a token that still lives serves on meanwhile.

    Args:
        client_id: Public name of the client.
        client_secret: Its secret.
        token_url: Where tokens come from; the vendor's pages name three hosts, so it is a setting.
        http: Client without a credential, for the token endpoint.
        retry: For the token endpoint; asking for a token twice does no harm.
        renew_before: Seconds before its end at which a token is renewed (half its life, if that is shorter).
        budget: Seconds that getting a token may take, retries included. Less than a start may take, so that it
            is known that the start was not sent.
        failure_pause: Seconds without another question after a failure, with the same secret. What the endpoint
            asks for with `Retry-After` may be longer, up to a minute.
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
        budget: float = 15.0,
        failure_pause: float = 3.0,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._endpoint = TokenEndpoint(token_url, http, retry=retry or RetryPolicy(), budget=budget)
        self._renew_before = renew_before
        self._failure_pause = failure_pause
        self._clock = clock
        self._renewal = anyio.Lock()
        self._token: _KeptToken | None = None
        self._failure: _KeptFailure | None = None

    def identity(self) -> str:
        """What tells this caller from others: the client's id."""
        return self._client_id

    async def header(self) -> Header:
        """A valid token in its header."""
        return (await self._valid_token(refused=None)).header

    async def instead_of(self, refused: Header) -> Header:
        """A token that was fetched after the refused one."""
        return (await self._valid_token(refused=refused)).header

    async def aclose(self) -> None:
        """Close the connections to the token endpoint."""
        await self._endpoint.aclose()

    async def _valid_token(self, *, refused: Header | None) -> "_KeptToken":
        """Return a token that is not about to expire and was fetched after `refused` was."""
        if (kept := self._token) and kept.header is not refused and self._clock() < kept.renew_at:
            return kept
        async with self._renewal:
            kept = self._token  # another caller may have renewed it meanwhile
            if kept and kept.header is not refused and self._clock() < kept.renew_at:
                return kept
            try:
                return await self._renewed()
            except APIError as error:
                if kept and kept.header is not refused and self._clock() < kept.expires_at:
                    log.warning("token.renewal_failed", error=type(error).__name__)
                    return kept
                raise

    async def _renewed(self) -> "_KeptToken":
        secret = _header_value(self._client_secret)
        failure = self._failure
        if failure and failure.secret == secret and self._clock() < failure.until:
            raise about_the_token(failure.error) from failure.error
        asked_at = self._clock()
        try:
            granted = await self._endpoint.ask(self._client_id, secret)
        except APIError as error:
            asked_to_wait = (error.retry_after or 0.0) if isinstance(error, APIStatusError) else 0.0
            pause = max(self._failure_pause, min(asked_to_wait, _LONGEST_FAILURE_PAUSE))
            self._failure = _KeptFailure(error, secret, until=self._clock() + pause)
            raise about_the_token(error) from error
        life = granted.expires_in
        self._failure = None
        self._token = _KeptToken(
            ("Authorization", f"Bearer {granted.access_token}"),
            renew_at=asked_at + max(life - self._renew_before, life / 2),
            expires_at=asked_at + life,
        )
        return self._token


@dataclass(frozen=True, slots=True, eq=False)
class _KeptToken:
    header: Header = field(repr=False)
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class _KeptFailure:
    error: APIError
    secret: str = field(repr=False)
    until: float

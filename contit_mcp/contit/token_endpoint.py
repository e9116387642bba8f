"""OAuth2's token endpoint: what it is asked, what it answers, and its failures, told apart from Contit's own.

A failure here is never about a thread or a run, and nothing of the caller's has been sent: so a 404 or 409
of the token endpoint must not look like one of Contit's, and a broken connection to it leaves nothing unknown.
"""

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from contit_mcp.contit.responses import parse
from contit_mcp.contit.retries import RetryPolicy, read_may_be_repeated, retrying
from contit_mcp.contit.transport import HTTPX_ERRORS, translate
from contit_mcp.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    RateLimitError,
)

_USUAL_LIFE = 3600.0
"""Seconds that a token lives when its answer does not say (documented: `expires_in` 3600)."""

_REFUSED = frozenset({400, 401, 403})
"""How an endpoint refuses a client: 400 and 401 in RFC 6749, 5.2; 403 in practice."""


class Token(BaseModel):
    """The endpoint's answer. `token_type` differs in case between the vendor's pages and is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: str = Field(min_length=1, pattern=r"^[\x21-\x7e]+$", repr=False)
    expires_in: float = Field(default=_USUAL_LIFE, gt=0, allow_inf_nan=False)

    @field_validator("expires_in", mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        return _USUAL_LIFE if value is None else value


class TokenEndpoint:
    """Gives tokens for a client's id and secret (RFC 6749, 4.4).

    Args:
        url: Where it is.
        http: Client without a credential.
        retry: Asking for a token twice does no harm.
        budget: Seconds that getting a token may take, retries included.
    """

    def __init__(self, url: str, http: httpx.AsyncClient, *, retry: RetryPolicy, budget: float) -> None:
        self._url = url
        self._http = http
        self._retry = retry
        self._budget = budget

    async def ask(self, client_id: str, client_secret: str) -> Token:
        """Return a new token.

        Raises:
            APIError: As it came; `about_the_token` says what it means to whoever asked Contit.
        """
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}

        async def attempt() -> Token:
            try:
                response = await self._http.post(self._url, data=form)
            except HTTPX_ERRORS as exc:
                raise translate(exc) from exc
            return parse(response, Token)

        deadline = anyio.current_time() + self._budget
        try:
            with anyio.fail_after(self._budget):
                return await retrying(attempt, may_repeat=read_may_be_repeated, policy=self._retry, deadline=deadline)
        except TimeoutError as exc:
            raise APITimeoutError(
                "The token endpoint did not finish its answer in time.",
                hint="Try again in a little while.",
                may_have_arrived=False,
            ) from exc

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def about_the_token(error: APIError) -> APIError:
    """What a failure of the token endpoint means to whoever asked Contit."""
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
            "Contit's token endpoint answered with something that is no token.",
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
